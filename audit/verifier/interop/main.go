// Checks an exported audit bundle with the Go project's own transparency-log library (the one that
// guards Go modules): golang.org/x/mod/sumdb/note and golang.org/x/mod/sumdb/tlog. Nothing of Innkeeper.
//
//	go run . DIR VKEY
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type directory string

func (d directory) Height() int { return 8 }

func (d directory) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles maps the library's paths (tile/8/L/N) to those of C2SP tlog-tiles (tile/L/N).
func (d directory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		content, err := os.ReadFile(filepath.Join(string(d), path))
		if err != nil {
			return nil, err
		}
		data = append(data, content)
	}
	return data, nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "REFUTED:", err)
		os.Exit(1)
	}
}

func entry(dir string, index, size int64) []byte {
	tile := tlog.Tile{H: 8, L: 0, N: index / 256, W: 256}
	if left := size - tile.N*256; left < 256 {
		tile.W = int(left)
	}
	path := "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/0/")
	content, err := os.ReadFile(filepath.Join(dir, path))
	check(err)
	for skip := index % 256; ; skip-- {
		length := binary.BigEndian.Uint16(content)
		if skip == 0 {
			return content[2 : 2+length]
		}
		content = content[2+length:]
	}
}

func main() {
	dir := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	content, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check(err)
	opened, err := note.Open(content, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	var root tlog.Hash
	copy(root[:], raw)

	// The reader checks every tile it reads against the signed root.
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, directory(dir))
	for index := int64(0); index < size; index++ {
		hash := tlog.Hash(sha256.Sum256(append([]byte{0}, entry(dir, index, size)...)))
		proof, err := tlog.ProveRecord(size, index, reader)
		check(err)
		check(tlog.CheckRecord(proof, size, root, index, hash))
	}
	for old := int64(1); old <= size; old++ {
		oldRoot, err := tlog.TreeHash(old, reader)
		check(err)
		proof, err := tlog.ProveTree(size, old, reader)
		check(err)
		check(tlog.CheckTree(proof, size, root, old, oldRoot))
	}
	fmt.Printf("valid: %d entries of %s, each with inclusion and consistency proof\n", size, lines[0])
}
