-- Replies: the success code that the service names, an empty 204, and what gRPC's own errors lack.

local BARE_REASON = {
  ["4"] = "DEADLINE_EXPIRED", ["8"] = "OVERLOADED", ["12"] = "ROUTE_NOT_FOUND", ["14"] = "SERVICE_UNAVAILABLE",
}

-- The fields that a service names, as the caller wrote them: under JSON's names, and from where the body begins. What the
-- path's template calls by its own name keeps it.
local function as_written(text, noted, body)
  return (gsub(text, '"field":"([%w_%.%[%]]+)', function(field)
    if noted.path and find(noted.path, "{" .. field .. "}", 1, true) then return nil end
    if body and sub(field, 1, #body + 1) == body .. "." then field = sub(field, #body + 2) end
    return '"field":"' .. (noted.snake and field or canonical(field))
  end))
end

-- an error of a service in the format of its protocol; gRPC's own errors come without details
local function complete(handle, status, noted)
  local body = handle:body()
  local headers = handle:headers()
  local text = body and body:getBytes(0, body:length()) or ""
  local code, formatted = match(text, '"code":(%d+)'), text
  if code then handle:streamInfo():dynamicMetadata():set("weft", "grpc_status", code) end
  if code == "1" and not find(text, "google.rpc.ErrorInfo", 1, true) then
    -- A gRPC server that shuts down answers CANCELLED to a call that came too late for a handler.
    code, status = "14", "503"
    headers:replace(":status", status)
  end
  if find(text, '^{"error"') then
    formatted = text
  elseif handle:metadata():get("oauth") then
    local message = match(text, '"message":"([^"\\]*)') or "The request could not be answered."
    local later = status == "429" or status == "503" or status == "504"
    local word = later and "temporarily_unavailable" or status >= "500" and "server_error" or "invalid_request"
    formatted = '{"error":"' .. word .. '","error_description":"' .. message .. '"}'
  elseif find(text, '"fieldViolations"', 1, true) then
    if not noted.refused then formatted = as_written(text, noted, handle:metadata():get("body")) end
  elseif not find(text, "google.rpc.ErrorInfo", 1, true) then
    code = code or "13"
    formatted = '{"code":' .. code .. ',"message":"The call could not be answered.","details":[' .. TYPE .. 'ErrorInfo","reason":"'
      .. (BARE_REASON[code] or "INTERNAL_FAULT") .. '","domain":"weft.api.v1","metadata":{}}]}'
  end
  if find(text, '"reason":"TOKEN_REVOKED"', 1, true) then
    headers:replace("www-authenticate", 'Bearer realm="weft", error="invalid_token"')
  end
  if (status == "429" or status == "503") and not headers:get("retry-after") then
    local delay = match(text, '"retryDelay":"(%d+)')
    headers:add("retry-after", delay and delay ~= "0" and delay or "1")
  end
  if formatted ~= text then
    headers:replace("content-type", "application/json")
    headers:replace("content-length", tostring(body and body:setBytes(formatted) or #formatted))
  end
end

local NOTHING = {}
local INTERNAL = { "grpc-status", "grpc-message", "grpc-accept-encoding" }

local REFUSED = { ["400"] = true, ["401"] = true, ["404"] = true, ["405"] = true, ["413"] = true, ["415"] = true, ["431"] = true }
local REFUSED_CODE = { ["3"] = true, ["5"] = true, ["12"] = true, ["16"] = true }

function envoy_on_response(handle)
  local headers = handle:headers()
  local kind = headers:get("content-type")
  local native = kind and sub(kind, 1, 16) == "application/grpc"
  local refusal = native and REFUSED_CODE[headers:get("grpc-status")] or REFUSED[headers:get(":status")]
  if refusal and not headers:get("x-weft-served") then count_refusal(handle) end
  if native then return end
  local named = headers:get("x-http-status")
  if named then
    headers:remove("x-http-status")
    if headers:get(":status") == "200" then headers:replace(":status", named) end
  end
  local status, noted = headers:get(":status"), NOTHING
  if HEADS or status >= "400" then noted = handle:streamInfo():dynamicMetadata():get("weft") or NOTHING end
  for _, name in ipairs(INTERNAL) do headers:remove(name) end
  if status == "204" then
    -- A 204 that carries the `{}` of an empty reply corrupts keep-alive. Waiting for a body voids the headers at hand.
    local body = handle:body()
    if body then body:setBytes("") end
    headers = handle:headers()
    headers:remove("content-type")
    headers:remove("content-length")
  elseif status >= "400" and kind and sub(kind, 1, 16) == "application/json" then
    complete(handle, status, noted)
  end
  if noted.head then
    -- What GET would answer, without the body; a compressor would pack even the nothing that is left.
    local body = handle:body()
    local length = body and body:length() or 0
    if body then body:setBytes("") end
    headers = handle:headers()
    headers:replace("content-length", tostring(length))
    headers:replace("cache-control", (headers:get("cache-control") or "no-store") .. ", no-transform")
  end
end
