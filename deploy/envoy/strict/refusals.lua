-- Refusals: errors of the edge itself, in the one error format, or in that of RFC 6749; and the count of them by address.

-- refusals by address in this second
local second, refused = 0, {}

local function address_of(handle)
  return match(handle:streamInfo():downstreamRemoteAddress(), "^(.*):%d+$") or ""
end

local function is_refused_often(handle)
  return second == os.time() and (refused[address_of(handle)] or 0) >= REFUSALS
end

local function count_refusal(handle)
  local now = os.time()
  if now ~= second then second, refused = now, {} end
  local address = address_of(handle)
  refused[address] = (refused[address] or 0) + 1
end

local function quoted(text, max)
  text = gsub(sub(text, 1, max or 200), "[\128-\255]", "?")
  return (gsub(gsub(text, '[\\"]', "\\%0"), "%c", " "))
end

local HTTP = { ROUTE_NOT_FOUND = "404", METHOD_NOT_ALLOWED = "405", CONTENT_TYPE_UNSUPPORTED = "415", BODY_TOO_LARGE = "413", HEADERS_TOO_LARGE = "431" }
local CODE = { ROUTE_NOT_FOUND = 5, METHOD_NOT_ALLOWED = 12 }
local TYPE = '{"@type":"type.googleapis.com/google.rpc.'

-- fault is {reason, text}; key names the metadata, name its value; violation says whether name is a field of the request
local function refuse(handle, path, fault, key, name, violation, allow)
  local reason, message = fault.reason, fault.text
  if violation and name ~= "" then message = quoted(name) .. " " .. message .. "." end
  local body
  if sub(path, 1, 8) == "/oauth2/" then
    body = '{"error":"invalid_request","error_description":"' .. gsub(message, '\\?"', "'") .. '"}'
  else
    local metadata = key and name ~= "" and '"' .. key .. '":"' .. quoted(name) .. '"' or ""
    local details = TYPE .. 'ErrorInfo","reason":"' .. reason .. '","domain":"weft.api.v1","metadata":{' .. metadata .. "}}"
    if violation and name ~= "" then
      details = details .. "," .. TYPE .. 'BadRequest","fieldViolations":[{"field":"' .. quoted(name) .. '","description":"'
        .. quoted(fault.text, 600) .. '"}]}'
    end
    local id = handle:headers():get("x-request-id")
    if id then details = details .. "," .. TYPE .. 'RequestInfo","requestId":"' .. quoted(id) .. '"}' end
    body = '{"code":' .. (CODE[reason] or 3) .. ',"message":"' .. message .. '","details":[' .. details .. "]}"
  end
  local headers = { [":status"] = HTTP[reason] or "400", ["content-type"] = "application/json" }
  if allow then headers["allow"] = allow end
  handle:streamInfo():dynamicMetadata():set("weft", "refused", "1")
  handle:respond(headers, body)
end

local function refuse_large(handle, path, rule)
  local text = "The body is larger than the " .. LARGEST[rule.rpc] .. " bytes that the call takes."
  return refuse(handle, path, { reason = "BODY_TOO_LARGE", text = text })
end
