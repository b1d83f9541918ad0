--- Where tokens come from: Microsoft Entra ID, and the endpoints at which a machine asks for
-- its own identity's. Sources: learn.microsoft.com, "OAuth 2.0 client credentials flow",
-- "How to use managed identities to get an access token", "Managed identities in App
-- Service".

local answers = require "emulator.answers"
local clock = require "emulator.clock"
local guid = require "emulator.guid"
local json = require "emulator.json"
local ledger = require "emulator.ledger"
local tokens = require "emulator.tokens"

local authority = {}

local ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

--- What App Service puts into IDENTITY_HEADER here.
authority.HEADER = "emulated-header"

local NO_STORE = {["Cache-Control"] = "no-store, no-cache", Pragma = "no-cache"}

-- What is there: a name without a value, with an empty one or said twice is not.
local function given(arguments)
  local values = {}
  for name, value in pairs(arguments) do
    if type(value) == "string" and value ~= "" then values[name] = value end
  end
  return values
end

-- Refusals

local function timestamp()
  return os.date("!%Y-%m-%d %H:%M:%SZ", math.floor(clock.now()))
end

local function refusal(status, code, number, text)
  local trace, correlation, time = guid(), guid(), timestamp()
  local words = ("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s"):format(
    number, text, trace, correlation, time)
  return answers.document(status, {
    error = code, error_description = words, error_codes = json.array {number},
    timestamp = time, trace_id = trace, correlation_id = correlation,
    error_uri = "https://login.microsoftonline.com/error?code=" .. number,
  }, {["Cache-Control"] = "no-store, no-cache", ["x-ms-request-id"] = trace})
end

local function missing(name)
  return refusal(400, "invalid_request", 900144,
    ("The request body must contain the following parameter: '%s'."):format(name))
end

local function plain_refusal(status, text)
  return answers.document(status, {error = "invalid_request", error_description = text})
end

-- Microsoft Entra ID

local secrets = {
  wrong = {7000215, "Invalid client secret provided. Ensure the secret being sent in the "
    .. "request is the client secret value, not the client secret ID, for a secret added "
    .. "to app '%s'."},
  expired = {7000222, "The provided client secret keys for app '%s' are expired."},
}

local assertions = {
  wrong = {700213, "No matching federated identity record found for presented assertion "
    .. "subject of app '%s'."},
  expired = {700024, "Client assertion is not within its valid time range for app '%s'."},
}

local function refused_proof(known, proof, client)
  local fault = known[proof]
  return fault and refusal(401, "invalid_client", fault[1], fault[2]:format(client))
end

-- How the client proves who it is: a way's name, or nil and a refusal.
local function proof(form)
  if form.client_secret then
    return "secret", refused_proof(secrets, form.client_secret, form.client_id)
  end
  if not form.client_assertion then
    return nil, refusal(401, "invalid_client", 7000218,
      "The request body must contain the following parameter: 'client_assertion' or "
      .. "'client_secret'.")
  end
  if form.client_assertion_type ~= ASSERTION_TYPE then return nil, missing "client_assertion_type" end
  return "federated", refused_proof(assertions, form.client_assertion, form.client_id)
end

local function refused_client(tenant, client)
  if tenant == "unknown" then
    return refusal(400, "invalid_request", 90002, "Tenant 'unknown' not found.")
  elseif client == "unknown" then
    return refusal(400, "unauthorized_client", 700016,
      ("Application with identifier 'unknown' was not found in the directory '%s'."):format(tenant))
  end
end

local function resource_of(scope)
  return scope:match "^(.*)/%.default$"
end

-- What the token is for: nil and a refusal when that is not said.
local function audience(form, v1)
  if v1 then return form.resource, not form.resource and missing "resource" or nil end
  if not form.scope then return nil, missing "scope" end
  local resource = resource_of(form.scope)
  return resource, not resource and refusal(400, "invalid_scope", 1002012,
    "The provided value for scope is not valid. Client credential flows must have a scope "
    .. "value with /.default suffixed to the resource identifier.") or nil
end

local function issue(way, resource, client, document)
  ledger.issued(way)
  document.token_type = "Bearer"
  document.access_token = tokens.issue(resource:gsub("/$", ""), client)
  return answers.document(200, document, NO_STORE)
end

local function grant_v1(way, resource, client)
  local life = ("%.0f"):format(tokens.life())
  local ends = math.floor(clock.now() + tokens.life())
  return issue(way, resource, client, {
    expires_in = life, ext_expires_in = life, resource = resource,
    expires_on = tostring(ends), not_before = tostring(math.floor(clock.now())),
  })
end

local function grant_v2(way, resource, client)
  return issue(way, resource, client,
    {expires_in = tokens.life(), ext_expires_in = tokens.life()})
end

local function is_form(request)
  local kind = request.headers["Content-Type"] or ""
  return kind:find("^application/x%-www%-form%-urlencoded") ~= nil
end

local function refused_form(request, form)
  if not is_form(request) then return missing "grant_type" end
  for _, name in ipairs {"grant_type", "client_id"} do
    if not form[name] then return missing(name) end
  end
  if form.grant_type ~= "client_credentials" then
    return refusal(400, "unsupported_grant_type", 70003, "The grant type is not supported.")
  end
end

local function of_authority(v1)
  return function(request, tenant)
    local form = given(ngx.decode_args(request.body))
    local refused = refused_form(request, form) or refused_client(tenant, form.client_id)
    if refused then return refused end
    local resource, unclear = audience(form, v1)
    if unclear then return unclear end
    local way, unproven = proof(form)
    if unproven then return unproven end
    return (v1 and grant_v1 or grant_v2)(way, resource, form.client_id)
  end
end

-- Managed identity

local function refused_query(query, version)
  for _, name in ipairs {"api-version", "resource"} do
    if not query[name] then
      return plain_refusal(400, "Required query variable '" .. name .. "' is missing")
    end
  end
  if query["api-version"] ~= version then
    return plain_refusal(400, "The api-version is not supported; it is " .. version)
  elseif query.client_id == "unknown" then
    return plain_refusal(400, "Identity not found")
  end
end

local function imds(request)
  local query = given(request.args)
  if request.headers.Metadata ~= "true" then
    return plain_refusal(400, "Required metadata header not specified")
  elseif request.headers["X-Forwarded-For"] then
    return plain_refusal(400, "X-Forwarded-For is not welcome")
  end
  return refused_query(query, "2018-02-01") or grant_v1("imds", query.resource, query.client_id)
end

local function app_service(request)
  local query = given(request.args)
  if request.headers["X-IDENTITY-HEADER"] ~= authority.HEADER then
    return plain_refusal(401, "Unauthorized")
  end
  return refused_query(query, "2019-08-01")
    or issue("app_service", query.resource, query.client_id, {
      resource = query.resource,
      expires_on = tostring(math.floor(clock.now() + tokens.life())),
    })
end

local routes = {
  {"POST", "^/([^/]+)/oauth2/v2%.0/token$", of_authority(false)},
  {"POST", "^/([^/]+)/oauth2/token$", of_authority(true)},
  {"GET", "^/metadata/identity/oauth2/token$", imds},
  {"GET", "^/msi/token$", app_service},
}

local function route_of(request)
  for _, route in ipairs(routes) do
    if route[1] == request.method and request.path:find(route[2]) then return route end
  end
end

--- Does a request ask for a token?
function authority.is_asked(request)
  return route_of(request) ~= nil
end

function authority.answer(request)
  local route = route_of(request)
  if tokens.delay() > 0 then ngx.sleep(tokens.delay()) end
  return route[3](request, request.path:match(route[2]))
end

return authority
