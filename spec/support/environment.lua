--- The environment's variables that name a credential, under a spec's control.
--
--     local environment = require "spec.support.environment"
--     before_each(environment.clear)
--     after_each(environment.restore)
--     environment.set { AZURE_CLIENT_ID = "app" }

local calls = require("spec.host.live").calls

local environment = {}

local NAMES = {
  "CLOUDPARTNER_TOKEN", "CLOUDPARTNER_PUBLISHER", "CLOUDPARTNER_ENDPOINT",
  "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE",
  "AZURE_AUTHORITY_HOST", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "IDENTITY_ENDPOINT",
  "IDENTITY_HEADER", "PATH", "FAKE_AZ", "FAKE_AZ_LOG",
}

local before = {}
for _, name in ipairs(NAMES) do before[name] = os.getenv(name) end

function environment.set(values)
  for name, value in pairs(values) do calls.setenv(name, value) end
end

--- No credential is named.
function environment.clear()
  for _, name in ipairs(NAMES) do
    if name ~= "PATH" then calls.setenv(name, nil) end
  end
end

--- As it was when this module was loaded.
function environment.restore()
  for _, name in ipairs(NAMES) do calls.setenv(name, before[name]) end
end

return environment
