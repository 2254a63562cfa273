-- Whose turn a call is: replicas that share cores take calls in turns. While calls are few, each call is a turn of its own;
-- while they are many, a tenth of a second is, so that they come to a replica in bursts. The generator puts MANY before this.

local tenth, calls, many, alone = 0, 0, false, 0

local function turn_of(now)
  if now ~= tenth then
    many = now == tenth + 1 and calls >= MANY
    tenth, calls = now, 0
  end
  calls = calls + 1
  if many then return now end
  alone = alone + 1
  return alone
end

local check = envoy_on_request

function envoy_on_request(handle)
  local turn = turn_of(math.floor(handle:timestamp() / 100))
  handle:streamInfo():dynamicMetadata():set("weft", "turn", tostring(turn))
  return check(handle)
end
