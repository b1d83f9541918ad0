--- The members that an object from outside may have, and the values that they can take.

local json = require "emulator.json"

local members = {}

function members.is(kind)
  return function(value) return type(value) == kind end
end

function members.one_of(...)
  local allowed = {}
  for _, word in ipairs {...} do allowed[word] = true end
  return function(value) return allowed[value] end
end

function members.anything()
  return true
end

function members.positive(value)
  return type(value) == "number" and value > 0
end

function members.not_negative(value)
  return type(value) == "number" and value >= 0
end

function members.whole(value)
  return members.positive(value) and value % 1 == 0
end

function members.http_status(value)
  return members.whole(value) and value >= 200 and value <= 599
end

--- Nil, or what is wrong with an object, by the name of the member that is.
function members.fault(object, allowed)
  for name, value in pairs(object) do
    if not allowed[name] then return "There is no " .. name .. " to set." end
    if value ~= json.null and not allowed[name](value) then
      return "The value of " .. name .. " is not one it can have."
    end
  end
end

--- An object without the members that are null: these are not set.
function members.set(object)
  local given = {}
  for name, value in pairs(object) do
    if value ~= json.null then given[name] = value end
  end
  return given
end

return members
