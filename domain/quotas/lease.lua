-- Settles what one holder has spent and still holds in the windows of one organization, then grants permits.
--
-- KEYS[i]    window i, without its start: pe:{organization}:w:<limit>:<key or ->:<period>; the last is the marker
-- ARGV[1]    holder: who asks (one worker process)
-- ARGV[2]    sequence: grows with every call of the holder; a call that is overtaken by a later one changes nothing
-- ARGV[3]    "1": publish a recall where others hold what a request lacks
-- ARGV[3+i]  window i, numbers with spaces between them:
--              1 kind     1 fixed, 2 month, 3 sliding, 4 concurrent
--              2 amount   3 length: fixed seconds, sliding milliseconds of a slot, concurrent milliseconds of a lease
--              4 enforced 1, or 0 for shadow: counted, never granted
--              5 want     balance that the holder would like to have ahead of need
--              6 tag      window of what it holds: start (fixed) or slot of the deadline (sliding); 0 nothing
--              7 spent    since it began in this window, all told
--              8 heard    fixed: sequence of the last call whose answer it heard, -1 unknown; sliding: of spent, what that
--                         call told
--              9 left     unspent; concurrent: slots held, in use or not
--             10 debt     admitted without Redis in this window by a holder that had no lease of it; concurrent: slots free
--             11 refill   what the rollups say; -1 unknown, ask me; -2 this window is never refilled; -3 ask me in any case;
--                         -4 - n: it says n, which was asked for in any case: so much has been used, whatever is known here
--             12... month: candidate starts, in a row; sliding: slots in a window, slots ahead, milliseconds since
--                   the holder heard an answer, sequence of that call, milliseconds since it spent a permit
-- the rest   bundles: requests that wait, "m i v j w ...": m requests, each in need of v permits of window i, w of j, ...
--
-- Returns { 0, for each window: granted, used, ms to reset, held by others, ms to the permits' deadline, tag; then per
-- bundle how many of its requests can go }; used = spent + held, by everybody.
-- Or { 1, i, start, ... }: windows i need a refill first; or { -1 }: overtaken. Both changed nothing.
--
-- Rule       spent + held <= amount, in every window, or nothing is granted in it. A bundle takes all or none.
-- Why exact  What a holder says is absolute (spent, left), so an answer that was lost, or a call that is repeated,
--            leaves nothing behind: its next call puts the record right. What it was granted without hearing of it, it
--            never spent. A record that was lost with the server's memory is declared anew by the next call.
-- Sliding    A permit is charged to the slot of its deadline, once spent to the slot in which the holder last spent one.
--            All slots from now - length on count, future ones too: never more than the amount in any stretch of time.
-- Time is the server's.

local holder, seq, publish = "h" .. ARGV[1], tonumber(ARGV[2]), ARGV[3] == "1"
local marker, count = KEYS[#KEYS], #KEYS - 1
local time = redis.call("TIME")
local now = tonumber(time[1])
local now_ms = now * 1000 + math.floor(tonumber(time[2]) / 1000)
local YEAR_2100 = 4102444800

local function numbers(text)
  local list = {}
  for word in string.gmatch(text, "%S+") do list[#list + 1] = tonumber(word) end
  return list
end

-- Days since 1970-01-01 of a month's first day; month counts from 0 = January 1970.
local function first_day(month)
  local year, m = 1970 + math.floor(month / 12), month % 12 + 1
  if m <= 2 then year = year - 1 end
  local era = math.floor(year / 400)
  local yoe = year - era * 400
  local doy = math.floor((153 * ((m + 9) % 12) + 2) / 5)
  return era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
end

local function calendar_month()
  local day = math.floor(now / 86400)
  local month = math.floor(day / 30.436875)
  while first_day(month) > day do month = month - 1 end
  while first_day(month + 1) <= day do month = month + 1 end
  return first_day(month) * 86400, first_day(month + 1) * 86400
end

local function bounds(w)
  if w[1] == 1 then
    local start = now - now % w[3]
    return start, start + w[3]
  end
  for i = 12, #w - 1 do
    if w[i] <= now and now < w[i + 1] then return w[i], w[i + 1] end
  end
  return calendar_month()
end

-- Numbers go to Redis as text of our own: its and Lua's own forms have exponents, and are four times as slow.
local format = string.format
local function text(number) return format("%d", number) end

local function record(value)
  if value then return numbers(value) end
end

-- Fixed: fields u spent, o held, k holders, r refill, d what of it was told anew after a loss, h<holder> "held spent seq",
-- x if it was begun by who knows no rollups, such as the last word of a dead worker: who does is still asked.
local function open_fixed(i, w)
  w.start, w.ends = bounds(w)
  w.name = KEYS[i] .. ":" .. text(w.start)
  local v = redis.call("HMGET", w.name, "u", "o", "k", "r", "d", holder, "x")
  w.fresh, w.unfilled = not v[1], not v[1] or v[7]
  w.u, w.o, w.k = tonumber(v[1] or 0), tonumber(v[2] or 0), tonumber(v[3] or 0)
  w.r, w.d, w.record = tonumber(v[4] or 0), tonumber(v[5] or 0), record(v[6])
  w.seq = w.record and w.record[3] or 0
end

-- Sliding: fields n last time, f offset, <slot> spent, h<holder> "held spent seq slot time". All of it in the window's own
-- time, the server's plus the offset, which grows when the server's clock steps back: by how much, the last time tells at
-- least, and what the holder says of the time between two calls almost exactly.
local function open_sliding(i, w)
  w.name, w.slots, w.records, w.seq, w.offset = KEYS[i], {}, {}, 0, 0
  local v = redis.call("HGETALL", w.name)
  local last, told = 0, 0
  for j = 1, #v, 2 do
    if v[j] == "n" then
      last = tonumber(v[j + 1])
    elseif v[j] == "f" then
      w.offset = tonumber(v[j + 1])
    elseif v[j] == holder and w[15] then
      local r = numbers(v[j + 1])
      if r[3] == w[15] then told = r[5] + w[14] end
    end
  end
  w.now = math.max(now_ms + w.offset, last, told)
  w.offset, w.slot = w.now - now_ms, math.floor(w.now / w[3])
  local oldest = w.slot - w[12]
  w.gone, w.o, w.u, w.k, w.first = {}, 0, 0, 0, nil
  for j = 1, #v, 2 do
    local name = v[j]
    if string.sub(name, 1, 1) == "h" then
      local r = numbers(v[j + 1])
      if name == holder then w.seq = r[3] end
      if r[4] >= oldest then w.records[name] = r else w.gone[#w.gone + 1] = name end
    elseif name ~= "n" and name ~= "f" then
      local slot = tonumber(name)
      if slot >= oldest then w.slots[slot] = tonumber(v[j + 1]) else w.gone[#w.gone + 1] = name end
    end
  end
  w.record = w.records[holder]
end

-- Concurrent: fields h<holder> "held free seq deadline doubted". A lease past its deadline gets one more term before it
-- is dropped: a clock that steps forward must not free slots that are in use.
local function open_concurrent(i, w)
  w.name, w.records, w.gone, w.u, w.o, w.k, w.seq = KEYS[i], {}, {}, 0, 0, 0, 0
  local v = redis.call("HGETALL", w.name)
  for j = 1, #v, 2 do
    local r = numbers(v[j + 1])
    if v[j] == holder then
      w.seq, w.record = r[3], r
    elseif r[4] > now_ms + 2 * w[3] then
      r[4], r.changed = now_ms + w[3], true
    elseif r[4] <= now_ms then
      if r[5] == 1 then w.gone[#w.gone + 1] = v[j] else r[4], r[5], r.changed = now_ms + w[3], 1, true end
    end
    if v[j] ~= holder and (r[4] > now_ms) then w.records[v[j]] = r end
  end
end

local windows, refills = {}, {}
local born = tonumber(redis.call("GET", marker) or YEAR_2100)
for i = 1, count do
  local w = numbers(ARGV[3 + i])
  windows[i] = w
  if w[1] <= 2 then open_fixed(i, w) elseif w[1] == 3 then open_sliding(i, w) else open_concurrent(i, w) end
  if w.seq >= seq then return { -1 } end
  if w[1] <= 2 and ((w.unfilled and w[11] == -1 and born > w.start) or w[11] == -3) then
    refills[#refills + 1] = i
    refills[#refills + 1] = w.start
  end
end
if #refills > 0 then
  if born == YEAR_2100 then redis.call("PUBLISH", "pe:recall", ARGV[1] .. " " .. marker) end
  return { 1, unpack(refills) }
end
if born == YEAR_2100 then
  redis.call("SET", marker, now, "EX", 6048000)
  redis.call("PUBLISH", "pe:recall", ARGV[1] .. " " .. marker)
end

-- What it holds is of another window than that of now: that one is over, or the server's clock stepped back out of it.
-- What is left may be spent while this call travels, so it is spent for all that anybody knows.
local function settle_other_window(i, w)
  local name = KEYS[i] .. ":" .. text(w[6])
  local v = redis.call("HMGET", name, "u", "o", "k", holder)
  local r = record(v[4])
  if not r then return end
  redis.call("HSET", name, "u", text(tonumber(v[1]) + w[7] + w[9] - r[2]), "o", text(tonumber(v[2]) - r[1]),
    "k", text(tonumber(v[3]) - (r[1] > 0 and 1 or 0)), holder, format("0 %d %d", w[7], seq))
end

local function settle_fixed(i, w)
  local r = w.record or { 0, 0, seq }
  w.left, w.spent = w[9], w[7]
  if w[6] ~= w.start then
    if w[6] > 0 then settle_other_window(i, w) end
    w.left, w.spent = 0, 0
    w.u = w.u + w[10]
    -- It was in this window before, and the clock stepped: what it heard of then is spent for all that anybody knows.
    if w[8] >= r[3] or (w[8] < 0 and w[6] > w.start) then w.u = w.u + r[1] end
  else
    w.u = w.u + w[7] - r[2] + w[10]
    -- Lost with the server's memory: told anew, and the refill has it too.
    if not w.record then w.d = w.d + w[7] end
  end
  if w[11] > 0 then w.r = math.max(w.r, w[11]) end
  w.others, w.others_k = w.o - r[1], w.k - (r[1] > 0 and 1 or 0)
  -- What others hold may be spent, and in the rollups already: it is not added once more.
  if w[11] <= -4 then w.r = math.max(w.r, -4 - w[11] - w.u - w.others + w.d) end
  w.base = w.u + math.max(0, w.r - w.d) + w.others
end

local function settle_sliding(w)
  local r = w.record
  local spent = math.max(0, w[7] - (r and r[2] or w[8])) + w[10]
  w.left, w.spent = w[9], w[7]
  if spent > 0 then
    local slot = math.floor((w.now - (w[10] == 0 and w[16] or 0)) / w[3])
    slot = math.min(slot, r and r[4] or w.slot, w[6] > 0 and w[10] == 0 and w[6] or w.slot)
    w.slots[slot] = (w.slots[slot] or 0) + spent
    w.touched = slot
  end
  local oldest = w.slot - w[12]
  w.others, w.others_k = 0, 0
  for slot, n in pairs(w.slots) do
    if slot >= oldest then
      w.u = w.u + n
      if not w.first or slot < w.first then w.first = slot end
    end
  end
  for name, other in pairs(w.records) do
    if name ~= holder and other[1] > 0 then
      w.others, w.others_k = w.others + other[1], w.others_k + 1
      if not w.first or other[4] < w.first then w.first = other[4] end
    end
  end
  w.base = w.u + w.others
end

local function settle_concurrent(w)
  w.left, w.spent, w.others, w.others_k = w[9], 0, 0, 0
  for _, other in pairs(w.records) do w.others, w.others_k = w.others + other[1], w.others_k + 1 end
  w.base = w.others
end

for i, w in ipairs(windows) do
  if w[1] <= 2 then settle_fixed(i, w) elseif w[1] == 3 then settle_sliding(w) else settle_concurrent(w) end
  w.granted, w.supply = 0, w[1] == 4 and w[10] or w.left
  w.room = w[4] == 1 and math.max(0, w[2] - w.base - w.left) or 0
end

local goes, lacking = {}, false
for b = 4 + count, #ARGV do
  local bundle = numbers(ARGV[b])
  local n = bundle[1]
  for j = 2, #bundle, 2 do
    local w = windows[bundle[j]]
    n = math.min(n, math.floor((w.supply + w.room) / bundle[j + 1]))
  end
  for j = 2, #bundle, 2 do
    local w, each = windows[bundle[j]], bundle[j + 1]
    local need, here = n * each, w.supply + w.room
    if here < bundle[1] * each then
      lacking = true
      if publish and w.others > 0 and here - need + w.others >= each and not w.recalled then
        w.recalled = true
        redis.call("PUBLISH", "pe:recall", ARGV[1] .. " " .. KEYS[bundle[j]])
      end
    end
    local held = math.min(w.supply, need)
    w.supply, w.granted, w.room = w.supply - held, w.granted + need - held, w.room - (need - held)
  end
  goes[#goes + 1] = n
end
if not lacking then
  for _, w in ipairs(windows) do
    if w[4] == 1 then
      local share = math.floor(w.room / (2 * (w.others_k + 1)))
      local extra = math.max(0, math.min(w[5] - w.supply, share))
      w.granted, w.room = w.granted + extra, w.room - extra
    end
  end
end

local function write_fixed(w)
  local held, r = w.left + w.granted, w.record
  w.life, w.reset, w.tag = w.ends * 1000 - now_ms, w.ends * 1000 - now_ms, w.start
  w.used = w.base + held
  if held == 0 and not r and w.u == 0 and w.r == 0 then return end
  redis.call("HSET", w.name, "u", text(w.u), "o", text(w.others + held), "k", text(w.others_k + (held > 0 and 1 or 0)),
    "r", text(w.r), "d", text(w.d), holder, format("%d %d %d", held, w.spent, seq))
  if w.unfilled and (w[11] >= 0 or w[11] <= -4) then redis.call("HDEL", w.name, "x") end
  if w.fresh then
    if w[11] == -2 then redis.call("HSET", w.name, "x", "1") end
    local slack = math.min(math.max(w.ends - w.start, 10), 86400)
    redis.call("EXPIREAT", w.name, text(w.ends + slack))
    redis.call("EXPIRE", marker, 6048000)
  end
end

local function write_sliding(w)
  local held = w.left + w.granted
  w.used = w.base + held
  local tag = w.slot
  if 8 * w.used <= w[2] then
    tag = w.slot + w[13]
  elseif 2 * w.used <= w[2] then
    tag = w.slot + 2
  elseif (w.slot + 1) * w[3] - w.now < w[3] / 4 then
    tag = w.slot + 1
  end
  -- What is being spent while this answer travels has its old deadline.
  if w.left > 0 then tag = math.max(tag, w.record and w.record[4] or math.min(w[6], w.slot + w[13])) end
  w.tag = tag
  w.life = (tag + 1) * w[3] - w.now
  if held > 0 and (not w.first or tag < w.first) then w.first = tag end
  w.reset = ((w.first or w.slot - 1) + w[12] + 1) * w[3] - w.now
  if #w.gone > 0 then redis.call("HDEL", w.name, unpack(w.gone)) end
  if held == 0 and not w.record and w.u == 0 and w.others == 0 then return end
  local own = format("%d %d %d %d %d", held, w.spent, seq, tag, w.now)
  local fields = { "n", text(w.now), "f", text(w.offset), holder, own }
  if w.touched then
    fields[#fields + 1] = text(w.touched)
    fields[#fields + 1] = text(w.slots[w.touched])
  end
  redis.call("HSET", w.name, unpack(fields))
  redis.call("PEXPIRE", w.name, text((w[12] + w[13] + 5) * w[3]))
end

local function write_concurrent(w)
  local held = w.left + w.granted
  w.used, w.life, w.reset, w.tag = w.base + held, w[3], 1000, 1
  if #w.gone > 0 then redis.call("HDEL", w.name, unpack(w.gone)) end
  for name, other in pairs(w.records) do
    if other.changed then
      redis.call("HSET", w.name, name, format("%d 0 %d %d %d", other[1], other[3], other[4], other[5] or 0))
    end
  end
  if held == 0 and not w.record then return end
  redis.call("HSET", w.name, holder, format("%d 0 %d %d 0", held, seq, now_ms + w[3]))
  redis.call("PEXPIRE", w.name, text(3 * w[3]))
end

local answer = { 0 }
for i, w in ipairs(windows) do
  if w[1] <= 2 then write_fixed(w) elseif w[1] == 3 then write_sliding(w) else write_concurrent(w) end
  local at = 6 * i - 4
  answer[at], answer[at + 1], answer[at + 2] = w.granted, w.used, math.max(1, w.reset)
  answer[at + 3], answer[at + 4], answer[at + 5] = w.others, w.life, w.tag
end
for _, n in ipairs(goes) do answer[#answer + 1] = n end
return answer
