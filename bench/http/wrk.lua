-- Requests over the twenty paths in turn, `depth` of them at once (the argument behind "--"), and the result as
-- one line of JSON. With depth above 1 wrk finds out by itself how many responses a batch has.
local batches = {}
local next_batch = 0

function init(args)
  local depth = tonumber(args[1]) or 1
  for first = 0, 19 do
    local batch = {}
    for i = 0, depth - 1 do
      batch[#batch + 1] = wrk.format("GET", string.format("/page/%02d", (first + i) % 20))
    end
    batches[#batches + 1] = table.concat(batch)
  end
end

function request()
  next_batch = next_batch % #batches + 1
  return batches[next_batch]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '{"requests": %d, "wall_us": %d, "bytes": %d, "errors": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d}\n',
    summary.requests, summary.duration, summary.bytes, failed, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9)))
end
