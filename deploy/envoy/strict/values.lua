-- What Envoy's transcoder lets pass, refused: unknown paths, methods, query parameters, content types and body fields.
-- What it cannot say, said: success codes, and one error format. On transcoded requests only; native gRPC is only tidied.
--
-- Two sources: edge.lua of values, refusals, paths, requests, replies, and bodies.lua of values, refusals, json, bodies. The
-- generator puts tables before each: R (rules), EXACT and TREE (path to HTTP method to rule), VERBS, STATIC, STREAMS, ONCE
-- (headers), HEADER_BYTES and HEADERS (a request's maxima).
-- A rule is {rpc = gRPC path, largest = bytes, path = template, verb = "", variables = {["{name}"] = k}, query = {name = node},
-- body = node or "raw", bound = {name = k}, streams = true}: the body's field `name`, and the template's `{name}`, is the
-- path's k-th part; a "raw" body (google.api.HttpBody) passes untouched.
-- A node describes a value: {kind = "message", fields = {name = node}, oneofs = {name = oneof}} | "list" | "map" (of = node,
-- keys = node) | "object" | "array" | "free" | "null" | a scalar {kind = "scalar", test = name, names = {…} for an enum,
-- what = "a whole number"}.
--
-- Values: whether a text is of its kind, just as google.protobuf.json_format reads it; anything in doubt is refused.

local byte, find, sub, match, gsub, char = string.byte, string.find, string.sub, string.match, string.gsub, string.char

local function unescaped(text)
  return (gsub(text, "%%(%x%x)", function(hex) return char(tonumber(hex, 16)) end))
end

local function decoded(text)
  return unescaped((gsub(text, "%+", " ")))
end

-- RFC 8259, section 6; what a double cannot hold is none
local function is_number(text)
  if find(text, "^%-?[1-9]%d?%d?%d?%d?%d?%d?%d?$") then return true end
  local rest = match(text, "^%-?[1-9]%d*(.*)$") or match(text, "^%-?0(.*)$")
  if not rest then return false end
  rest = gsub(gsub(rest, "^%.%d+", ""), "^[eE][%+%-]?%d+", "")
  return rest == "" and math.abs(tonumber(text)) < math.huge
end

-- Digits are compared as text: a double would round those of 64 bits. `3.0` and `3e2` are whole numbers too, where a double
-- holds them exactly.
local function whole(low, high)
  return function(text, _, quoted)
    local minus, digits = match(text, "^(%-?)(%d+)$")
    if not digits then
      local number = not quoted and is_number(text) and tonumber(text)
      if not number or number % 1 ~= 0 or math.abs(number) > 9007199254740992 then return false end
      minus, digits = number < 0 and "-" or "", string.format("%.0f", math.abs(number))
    end
    if #digits > 1 and byte(digits) == 48 or minus == "-" and low == "0" then return false end
    local bound = minus == "-" and low or high
    return #digits < #bound or #digits == #bound and digits <= bound
  end
end

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_fraction(text)
  return text == "" or #text < 11 and find(text, "^%.%d+$") ~= nil
end

-- RFC 3339, from year 1 to 9999; an offset must not lead out of them
local function is_timestamp(text)
  local year, month, day, rest = match(text, "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(.*)$")
  if not year then return false end
  local hour, minute, second, fraction, zone = match(rest, "^(%d%d):(%d%d):(%d%d)(%.?%d*)(.*)$")
  if not hour or hour > "23" or minute > "59" or second > "59" or not is_fraction(fraction) then return false end
  local y, days = tonumber(year), DAYS[tonumber(month)]
  if month == "02" and y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0) then days = 29 end
  if y == 0 or not days or day == "00" or tonumber(day) > days then return false end
  if zone == "Z" then return true end
  local hours, minutes = match(zone, "^[%+%-](%d%d):(%d%d)$")
  local date = year .. month .. day
  return hours ~= nil and hours < "24" and minutes < "60" and date ~= "00010101" and date ~= "99991231"
end

local function is_duration(text)
  local seconds, fraction = match(text, "^%-?(%d+)(%.?%d*)s$")
  return seconds ~= nil and #seconds < 13 and tonumber(seconds) < 315576000000 and is_fraction(fraction)
end

-- one of the two alphabets of RFC 4648, padded or not
local function is_base64(text)
  local packed, padding = match(text, "^([%w%+/]*)(=*)$")
  if not packed then packed, padding = match(text, "^([%w%-_]*)(=*)$") end
  if not packed then return false end
  local over = #packed % 4
  return over ~= 1 and (padding == "" or over > 0 and #padding == 4 - over)
end

-- in a query the names of the proto serve too
local function is_mask(text, _, quoted)
  if text == "*" then return true end -- all fields (AIP-134)
  if quoted ~= "query" and find(text, "_", 1, true) then return false end
  for path in string.gmatch(text .. ",", "([^,]*),") do
    for name in string.gmatch(path .. ".", "([^.]*)%.") do
      if text ~= "" and not find(name, "^%l[%w_]*$") then return false end
    end
  end
  return true
end

local HEADS = false -- whether a HEAD ever came: until then no reply asks whether it answers one
local SNAKE -- whether a name of the request that is being checked was written as in the proto
local PARTS -- of the path that is being checked; nothing yields between setting and reading
local BARE = { ["true"] = true, ["false"] = true }
local int32 = whole("2147483648", "2147483647")
local TESTS = {
  int32 = int32,
  uint32 = whole("0", "4294967295"),
  int64 = whole("9223372036854775808", "9223372036854775807"),
  uint64 = whole("0", "18446744073709551615"),
  number = function(text, _, quoted)
    return is_number(text) or quoted and (text == "NaN" or text == "Infinity" or text == "-Infinity")
  end,
  float = function(text, _, quoted)
    if quoted and (text == "NaN" or text == "Infinity" or text == "-Infinity") then return true end
    return is_number(text) and math.abs(tonumber(text)) <= 3.4028234663852886e38
  end,
  bool = function(text) return BARE[text] ~= nil end,
  bytes = is_base64,
  timestamp = is_timestamp,
  duration = is_duration,
  mask = is_mask,
  path = function(text, node) return text == "" or text == unescaped(PARTS[node.part]) end,
  enum = function(text, node, quoted) return node.names[text] or not quoted and int32(text, node, true) end,
}
local NUMERIC = { int32 = true, uint32 = true, int64 = true, uint64 = true, number = true, float = true, enum = true }

-- a body may repeat what the path says, and say nothing else; the transcoder sees that under proto names only
for _, rule in pairs(R) do
  if rule.bound then
    local fields = {}
    for name, node in pairs(rule.body.fields) do fields[name] = node end
    for name, part in pairs(rule.bound) do
      fields[name] = { kind = "scalar", test = "path", part = part, what = "what the path says" }
    end
    rule.body = { kind = "message", fields = fields, oneofs = rule.body.oneofs, what = rule.body.what }
  end
end

-- `quoted`: as a string of JSON, or "query", where nothing else can be written
local function is_of_kind(node, text, quoted)
  local test = TESTS[node.test]
  return test == nil or test(text, node, quoted) -- strings have none
end

-- order_id and orderId are one field
local function canonical(name)
  return find(name, "_", 1, true) and gsub(name, "_(%w)", string.upper) or name
end

-- RFC 3629
local function is_utf8(text)
  local i = match(text, "^[%z\1-\127]*()")
  while i <= #text do
    local c = byte(text, i)
    local more = c >= 194 and c <= 223 and 1 or c >= 224 and c <= 239 and 2 or c >= 240 and c <= 244 and 3
    if not more or not find(text, "^" .. string.rep("[\128-\191]", more), i + 1) then return false end
    local second = byte(text, i + 1)
    if c == 224 and second < 160 or c == 237 and second > 159 or c == 240 and second < 144 or c == 244 and second > 143 then
      return false
    end
    i = match(text, "^[%z\1-\127]*()", i + 1 + more)
  end
  return true
end
