/* For clang-tidy: what Lua's headers don't say, that these never return. */
struct lua_State;
__attribute__((noreturn)) int lua_error(struct lua_State *L);
__attribute__((noreturn)) int luaL_error(struct lua_State *L, const char *format, ...);
__attribute__((noreturn)) int luaL_argerror(struct lua_State *L, int argument, const char *why);
