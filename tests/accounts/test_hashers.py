"""Passwords: the parameters, and that a flood is turned away instead of piling up."""

import threading

import pytest
from django.contrib.auth.hashers import check_password, identify_hasher, make_password

from accounts import hashers
from kernel.errors import Unavailable


def test_hash__always__is_argon2id_with_owasps_parameters():
    stored = make_password("correct horse battery")

    assert stored.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert check_password("correct horse battery", stored)
    assert not check_password("correct horse batterz", stored)


def test_hash__weaker_than_now__must_be_updated():
    weak = make_password("x").replace("m=19456,t=2", "m=8192,t=1")

    assert identify_hasher(weak).must_update(weak)


def test_hash__no_place_free__is_unavailable(monkeypatch):
    full = threading.BoundedSemaphore(1)
    full.acquire()
    monkeypatch.setattr(hashers, "_places", full)
    monkeypatch.setattr(hashers, "_PATIENCE_S", 0.01)

    with pytest.raises(Unavailable) as refused:
        make_password("x")

    assert (refused.value.code, refused.value.retry_after) == ("sign_in_busy", 1)


def test_hash__that_fails__gives_its_place_back(monkeypatch):
    place = threading.BoundedSemaphore(1)
    monkeypatch.setattr(hashers, "_places", place)

    with pytest.raises(AttributeError):
        hashers.BoundedArgon2Hasher().encode(None, "saltsaltsalt")

    assert place.acquire(blocking=False)
