-- Takes `cost` permits from every window of a plan, or from none.
--
-- KEYS[i]   window i's counter without the window's start: pe:{organization}:w:<limit>:<key or ->
--           One hash tag for all. The counter itself is KEYS[i] .. ":" .. <start>, which the tag keeps in the same slot.
-- ARGV[1]   cost: permits to take; 0 only looks
-- then three for each window:
-- ARGV[3i-1] amount: permits in one window
-- ARGV[3i]   length: seconds of the window, aligned to the Unix epoch; 0 is the calendar month (UTC)
-- ARGV[3i+1] "1" if enforced, "0" if shadow: counted, never refusing
--
-- Returns   { taken (1 or 0), used 1, milliseconds to reset 1, used 2, ... }; `used` is after taking.
-- Rule      If any enforced window has used + cost > amount, nothing is taken, from shadow windows neither.
-- Example   EVALSHA <sha> 2 pe:{o}:w:a:- pe:{o}:w:b:k 1 1000 3600 1 5 1 0
--
-- Time is the server's, so that gateways with wrong clocks agree. A counter lives one more window (10 s to one day)
-- after its end: a server clock that steps back finds the window as it left it and cannot open it a second time.

local cost = tonumber(ARGV[1])
assert(cost and cost >= 0, "cost must be a number >= 0")
assert(#ARGV == 1 + 3 * #KEYS, "three arguments for each window")

local time = redis.call("TIME")
local now = tonumber(time[1])
local now_ms = now * 1000 + math.floor(tonumber(time[2]) / 1000)

-- Days since 1970-01-01 of a month's first day; month counts from 0 = January 1970.
local function first_day(month)
  local year, m = 1970 + math.floor(month / 12), month % 12 + 1
  if m <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local yoe = year - era * 400
  local doy = math.floor((153 * ((m + 9) % 12) + 2) / 5)
  return era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
end

local function month_bounds()
  local day = math.floor(now / 86400)
  local month = math.floor(day / 30.436875)
  while first_day(month) > day do month = month - 1 end
  while first_day(month + 1) <= day do month = month + 1 end
  return first_day(month) * 86400, first_day(month + 1) * 86400
end

local counters, used, ends, slack = {}, {}, {}, {}
local taken = 1
for i = 1, #KEYS do
  local amount, length = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local start
  if length == 0 then
    start, ends[i] = month_bounds()
  else
    start = now - now % length
    ends[i] = start + length
  end
  slack[i] = math.min(math.max(ends[i] - start, 10), 86400)
  counters[i] = KEYS[i] .. ":" .. string.format("%d", start)
  used[i] = tonumber(redis.call("GET", counters[i]) or "0")
  if ARGV[3 * i + 1] == "1" and used[i] + cost > amount then taken = 0 end
end

local answer = { taken }
for i = 1, #KEYS do
  if taken == 1 and cost > 0 then
    used[i] = redis.call("INCRBY", counters[i], cost)
    if used[i] == cost then redis.call("EXPIREAT", counters[i], ends[i] + slack[i]) end
  end
  answer[2 * i] = used[i]
  answer[2 * i + 1] = ends[i] * 1000 - now_ms
end
return answer
