--- The offers that are there from the start. Between them their 202 answers have every
-- form of the poll URL that has been seen from the service.

local seeds = {}

seeds.publishers = {
  contoso = {name = "Contoso"},
  -- A publisher of somebody else's.
  fabrikam = {name = "Fabrikam", foreign = true},
}

--- What an offer has unless it says otherwise.
seeds.defaults = {
  publisher = "contoso", type = "vm", migrated = true, published = true, etag = true,
  header = "Operation-Location", form = "absolute", api_version_in_url = false,
}

local relative = {form = "relative", api_version_in_url = true}

local function with(base, more)
  local offer = {}
  for key, value in pairs(base) do offer[key] = value end
  for key, value in pairs(more) do offer[key] = value end
  return offer
end

seeds.offers = {
  {id = "contoso-virtualmachineoffer"},
  {id = "contoso-container", type = "container", header = "Location", form = "relative"},
  with(relative, {id = "contoso-legacy", migrated = false}),
  with(relative, {id = "contoso-offer", migrated = false, header = "Location"}),
  with(relative, {id = "contoso-draft", published = false, header = "Location"}),
}

--- Offers of these names come into being when they are first mentioned.
function seeds.comes_into_being(publisher, id)
  return publisher == "contoso" and (id:find("^demo%-") or id:find("^spec%-"))
end

local virtual_machine = [[
{
  "id": "%s",
  "offerTypeId": "microsoft-azure-virtualmachines",
  "publisherId": "%s",
  "definition": {
    "displayText": "Contoso Virtual Machine",
    "offer": {
      "microsoft-azure-marketplace.title": "Contoso Virtual Machine",
      "microsoft-azure-marketplace.screenshots": [],
      "microsoft-azure-marketplace.leadDestination": "None",
      "microsoft-azure-marketplace.lastSyncedVersion": 636576975611768314,
      "tags": {}
    },
    "plans": [
      {
        "planId": "contososkuidentifier",
        "microsoft-azure-virtualmachines.skuTitle": "Contoso \u2013 small",
        "microsoft-azure-virtualmachines.vmImages": {
          "1.0.1": {
            "osVhdUrl": "https://contoso.blob.core.windows.net/vhds/os.vhd]]
  .. [[?sv=2017-04-17&sr=c&sig=a%%2Bb%%2Fc%%3D&se=2030-01-01T00%%3A00%%3A00Z",
            "lunVhdDetails": []
          }
        }
      }
    ]
  }
}
]]

-- GET returns these two fields; since 2024 a PUT that sends them back is refused.
local ancient_virtual_machine = virtual_machine:gsub('"plans": %[\n      {', [[%0
        "microsoft-azure-corevm.legacyOfferId": "contoso-legacy",
        "microsoft-azure-corevm.legacyPublisherId": "contoso",]], 1)

local container = [[
{
  "id": "%s",
  "offerTypeId": "microsoft-azure-container",
  "publisherId": "%s",
  "definition": {
    "displayText": "Contoso Container",
    "offer": {
      "microsoft-azure-marketplace.title": "Contoso Container",
      "tags": {}
    },
    "plans": [
      {
        "planId": "standard",
        "microsoft-azure-container.imageReferences": ["contoso.azurecr.io/server:1.0"]
      }
    ]
  }
}
]]

local function template(offer)
  if offer.type == "container" then return container end
  return offer.id == "contoso-legacy" and ancient_virtual_machine or virtual_machine
end

--- The text of an offer that nobody has written yet.
function seeds.text(offer)
  return template(offer):format(offer.id, offer.publisher)
end

return seeds
