-- Bodies: checks one against the rule of the requested RPC. It is whole, and within its bound.

local BY_RPC = {}
for _, rule in pairs(R) do BY_RPC[rule.rpc] = rule end

-- the parts of a path, the last without the rule's verb
local function parts_of(path, verb)
  local parts = {}
  for part in string.gmatch(path, "[^/]+") do parts[#parts + 1] = part end
  if verb ~= "" then parts[#parts] = sub(parts[#parts], 1, -#verb - 2) end
  return parts
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type")
  if kind and (kind == "application/grpc" or sub(kind, 1, 17) == "application/grpc+") then return end
  local rule = BY_RPC[headers:get("x-weft-rpc")]
  if not rule or rule.body == "raw" then return end
  local body = handle:body()
  if not body or body:length() == 0 then return end
  headers = handle:headers() -- waiting for a body voids those at hand
  local path = match(headers:get(":path"), "^[^?]*")
  if body:length() > LARGEST[rule.rpc] then return refuse_large(handle, path, rule) end
  if not rule.body then
    return refuse(handle, path, { reason = "JSON_MALFORMED", text = "The call takes no body." })
  end
  kind = kind and string.lower(kind) or ""
  local charset = match(kind, "^application/json%s*;.*charset=\"?([%w-]*)")
  local json = find(kind, "^application/json%s*$") or find(kind, "^application/json%s*;") and (not charset or charset == "utf-8")
  local encoding = headers:get("content-encoding")
  if not json or encoding and encoding ~= "identity" then
    local fault = { reason = "CONTENT_TYPE_UNSUPPORTED", text = "The body must be application/json in UTF-8, not encoded." }
    return refuse(handle, path, fault, "expected", "application/json")
  end
  if rule.bound then PARTS = parts_of(path, rule.verb) end
  local fault, field = check_body(body:getBytes(0, body:length()), rule.body)
  if SNAKE then handle:streamInfo():dynamicMetadata():set("weft", "snake", "1") end
  if fault then return refuse(handle, path, fault, fault.reason == "UNKNOWN_FIELD" and "field" or nil, field, true) end
end
