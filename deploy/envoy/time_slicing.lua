-- The time slice of a call, by which a replica is chosen. While calls are few, each call has a slice of its own; while they
-- are many, a tenth of a second is one, so that calls come to a replica in bursts. The generator puts BUSY_CALLS before this.

local tenth, calls, busy, single = 0, 0, false, 0

local function slice_of(now)
  if now ~= tenth then
    busy = now == tenth + 1 and calls >= BUSY_CALLS
    tenth, calls = now, 0
  end
  calls = calls + 1
  if busy then return now end
  single = single + 1
  return single
end

local check = envoy_on_request

function envoy_on_request(handle)
  local slice = slice_of(math.floor(handle:timestamp() / 100))
  handle:streamInfo():dynamicMetadata():set("weft", "slice", tostring(slice))
  return check(handle)
end
