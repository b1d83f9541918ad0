--- Orders given in advance, each for so many of the events that match it, from one of them on.

local queue = {}

local Queue = {}
Queue.__index = Queue

function queue.new()
  return setmetatable({orders = {}}, Queue)
end

function Queue:reset()
  self.orders = {}
end

function Queue:add(order)
  order.times = order.times or 1
  order.passes = (order.occurrence or 1) - 1
  self.orders[#self.orders + 1] = order
end

function Queue:pending()
  return #self.orders
end

local function is_due(order)
  if order.passes == 0 then return true end
  order.passes = order.passes - 1
  return false
end

-- Every order counts what matches it, whichever of them is then used.
function Queue:first_due(matches)
  local first
  for position, order in ipairs(self.orders) do
    if matches(order) and is_due(order) then first = first or position end
  end
  return first
end

--- The first order that is due, used up by one; nil when there is none.
function Queue:take(matches)
  local position = self:first_due(matches)
  if not position then return nil end
  local order = self.orders[position]
  order.times = order.times - 1
  if order.times <= 0 then table.remove(self.orders, position) end
  return order
end

return queue
