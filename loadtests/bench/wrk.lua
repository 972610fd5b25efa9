-- Counts every answer that is not 200, and prints the figures of one run as a line of JSON (times in microseconds).
local threads = {}
other = 0

function setup(thread)
  table.insert(threads, thread)
end

function response(status)
  if status ~= 200 then other = other + 1 end
end

function done(summary, latency)
  local not_ok = 0
  for _, thread in ipairs(threads) do not_ok = not_ok + thread:get("other") end
  local e = summary.errors
  io.write(string.format(
    '\n{"answers":%d,"duration_us":%d,"not_200":%d,"broken":%d,"timeouts":%d,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration, not_ok, e.connect + e.read + e.write, e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
