std = "max"
codes = true
max_line_length = 120

files["lua"] = { max_line_length = 90 }
files["lua/cloudpartner/resty.lua"] = { std = "max+ngx_lua" }
files["lua/cloudpartner/resty"] = { std = "max+ngx_lua" }
files["spec/host/nginx_host.lua"] = { std = "max+ngx_lua" }
files["spec/host/resty_http.lua"] = { std = "max+ngx_lua" }
files["emulator"] = { std = "max+ngx_lua" }
files["examples/embed"] = { globals = { "update" } }
files["oom"] = { read_globals = { "TOKEN" } }
files["spec"] = { std = "max+busted" }
