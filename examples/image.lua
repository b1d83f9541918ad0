-- Adds a version of an image to a virtual machine offer, and takes that from draft to live.
--
--     lua5.4 examples/image.lua OFFER PLAN VERSION URL
--
-- CLOUDPARTNER_ENDPOINT, CLOUDPARTNER_TOKEN and CLOUDPARTNER_PUBLISHER say where and who.
-- CLOUDPARTNER_INTERVAL: seconds between two looks (the client's default; 0.25 on loopback).
-- Run again, after whatever has happened, it goes on where the offer is. The exit status is
-- 0 when the offer is live, else 1 and one line says why.

local cloudpartner = require "cloudpartner"

local OFFER = arg[1] or "contoso-virtualmachineoffer"
local PLAN = arg[2] or "contososkuidentifier"
local VERSION = arg[3] or "1.0.2"
local URL = arg[4] or "https://contoso.blob.core.windows.net/vhds/os.vhd"

local is_loopback = (os.getenv "CLOUDPARTNER_ENDPOINT" or ""):find "^http://"
local interval = tonumber(os.getenv "CLOUDPARTNER_INTERVAL") or is_loopback and 0.25 or nil

local function check(result, err)
  if result then return result end
  print(err)
  os.exit(1)
end

-- Changes nothing when the plan has that image already: then nothing is put.
local function add_image(offer)
  local there = (offer:images(PLAN) or {})[VERSION]
  if there and there.osVhdUrl == URL then return false end
  local _, warnings = offer:add_image { plan = PLAN, version = VERSION, os_vhd_url = URL }
  for _, warning in ipairs(warnings) do print("warning: " .. warning) end
end

local client = cloudpartner.new()
check(client:update(OFFER, add_image))
local status = check(client:release(OFFER, {
  interval = interval, min_interval = interval,
  on_progress = function(now, phase)
    print(("%-8s %3d %%  %s"):format(phase, now.progress, now.state))
  end,
}))
print(OFFER .. " is " .. status.phase)
client:close()
