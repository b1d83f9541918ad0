--- The cells of a table, one after another.

local cells = {}

--- The exchanges of a go live, in their order.
cells.exchanges = { "list", "submit", "look_up", "poll" }

--- How a fault strikes, in the order in which it is told.
cells.ways = { "once", "always", "taken", "not_taken",
  "though_taken" }

local function cell(row, exchange, way)
  local expected = row[exchange] and row[exchange][way]
  return expected and { row = row, exchange = exchange, way = way, expected = expected }
end

--- Those of a PUT: itself, and reading back.
cells.of_put = { "put", "back" }

--- The cells of these rows: each has its `row`, `exchange`, `way` and what is `expected`.
-- @param exchanges by default those of a go live
function cells.of(rows, exchanges)
  local list = {}
  for _, row in ipairs(rows) do
    for _, exchange in ipairs(exchanges or cells.exchanges) do
      for _, way in ipairs(cells.ways) do
        list[#list + 1] = cell(row, exchange, way) or nil
      end
    end
  end
  return list
end

return cells
