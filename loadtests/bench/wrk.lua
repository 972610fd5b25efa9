-- Counts answers by status, and prints the figures of one run as a line of JSON (times in microseconds).
-- With a file as its argument, each request is a line of it, `PATH KEY`, taken in turn from a place of the thread's own.
local threads = {}
local requests = {}
local turn = 0
seen = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  if not args[1] then return end
  for line in io.lines(args[1]) do
    local path, key = line:match("^(%S+) (%S+)$")
    table.insert(requests, wrk.format("GET", path, { ["Host"] = wrk.headers["Host"], ["X-API-Key"] = key }))
  end
  turn = number * 7919
  request = function()
    turn = turn + 1
    return requests[turn % #requests + 1]
  end
end

function response(status)
  seen[status] = (seen[status] or 0) + 1
end

function done(summary, latency)
  local statuses = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("seen")) do
      statuses[status] = (statuses[status] or 0) + count
    end
  end
  local listed = {}
  for status, count in pairs(statuses) do table.insert(listed, string.format('"%d":%d', status, count)) end
  local e = summary.errors
  io.write(string.format(
    '\n{"answers":%d,"duration_us":%d,"statuses":{%s},"broken":%d,"timeouts":%d,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration, table.concat(listed, ","), e.connect + e.read + e.write, e.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max))
end
