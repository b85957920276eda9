-- Sends the rows of `workload` in turn. `run`, `mark` and `workload` stand above this text; see closed_loop.py.
local count, turn = 0, 0
local ready = {}

function init(args)
  for index, row in ipairs(workload) do
    if not (row.body and row.body:find(mark, 1, true)) then
      ready[index] = wrk.format(row.method, row.path, row.headers, row.body)
    end
  end
end

function request()
  turn = turn % #workload + 1
  if ready[turn] then return ready[turn] end
  count = count + 1
  local row, unique = workload[turn], run .. "-" .. count
  return wrk.format(row.method, row.path, row.headers, (row.body:gsub(mark, unique)))
end

function done(summary, latency, requests)
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '@@result@@{"requests": %d, "seconds": %.6f, "p50": %.4f, "p95": %.4f, "p99": %.4f, "max": %.4f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    summary.errors.status, broken))
end
