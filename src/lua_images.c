/*
** lua_images.c - the images of a virtual machine offer, on top of the pointers
** Where they are: an object by version in the plan, or in one of its disk generations,
** under one of two keys: reference pages of 2017, and offers that have migrated since.
*/
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "digest.h"
#include "lua_offer.h"
#include "lua_options.h"
#include "lua_value.h"
#include "url.h"

#define OLD_KEY "microsoft-azure-virtualmachines.vmImages"
#define NEW_KEY "microsoft-azure-corevm.vmImagesPublicAzure"

/* The service copies an image from its URL for so long: reference pages, "SAS URI". */
#define COPY_TIME (21 * 86400.0)

/* The editor of an offer, the pointer to what is looked for, and the plan, if found. */
typedef struct search {
  cp_editor *editor;
  cp_text *pointer;
  cp_node *plan;
} search;

static void no_memory(lua_State *L) {
  luaL_error(L, "not enough memory");
}

static cp_span span_of(const char *text) {
  return (cp_span){text, strlen(text)};
}

static void add_step(lua_State *L, const search *s, const char *name) {
  cp_span step = span_of(name);
  if (!cp_pointer_add(s->pointer, &step)) no_memory(L);
}

static void shorten(const search *s, size_t length) {
  s->pointer->length = length;
  s->pointer->data[length] = '\0';
}

/* Finding the plan */

/* A member of an object, which is looked into; NULL when it has none. */
static cp_node *find_member(lua_State *L, const search *s, cp_node *object,
                            const cp_span *key) {
  if (cp_node_kind(object) != '{') return NULL;
  if (cp_tree_open(&s->editor->tree, object) != CP_TREE_OK) no_memory(L);
  return cp_node_member(&s->editor->tree, object, key);
}

static cp_node *member(lua_State *L, const search *s, cp_node *object, const char *name) {
  cp_span key = span_of(name);
  return find_member(L, s, object, &key);
}

static bool is_plan(lua_State *L, const search *s, cp_node *node, const cp_span *id) {
  cp_node *name = member(L, s, node, "planId");
  if (!name || cp_node_kind(name) != '"') return false;
  cp_json_text text = {name->value.at + 1, name->value.length - 2, true};
  cp_span plain = cp_tree_plain(&s->editor->tree, &text);
  if (!plain.at) no_memory(L);
  return plain.length == id->length && memcmp(plain.at, id->at, id->length) == 0;
}

static void find_in(lua_State *L, search *s, cp_node *plans, const cp_span *id);

/* A plan's other generations are plans within it. */
static void look_into(lua_State *L, search *s, cp_node *node, const cp_span *id) {
  cp_node *generations = member(L, s, node, "diskGenerations");
  if (is_plan(L, s, node, id)) {
    s->plan = node;
  } else if (generations) {
    add_step(L, s, "diskGenerations");
    find_in(L, s, generations, id);
  }
}

static void find_in(lua_State *L, search *s, cp_node *plans, const cp_span *id) {
  size_t length = s->pointer->length;
  char index[24];
  luaL_checkstack(L, 5, "plans");
  if (cp_node_kind(plans) != '[') return;
  if (cp_tree_open(&s->editor->tree, plans) != CP_TREE_OK) no_memory(L);
  cp_node *node = cp_node_first(plans);
  for (int i = 0; node && !s->plan; i++, node = node->next) {
    shorten(s, length);
    snprintf(index, sizeof index, "%d", i);
    add_step(L, s, index);
    look_into(L, s, node, id);
  }
}

/* An offer without plans has not got this one either. */
static cp_node *find_plans(lua_State *L, const search *s) {
  cp_node *plans;
  cp_span pointer = {s->pointer->data, s->pointer->length};
  cp_edit edit = cp_edit_find(&s->editor->tree, &pointer, &plans);
  if (edit.fault == CP_FAULT_MISSING || edit.fault == CP_FAULT_SCALAR) return NULL;
  cp_check_edit(L, s->editor, &edit, &pointer);
  return plans;
}

/* Looks for the plan of the offer at 1; pushes the editor and the pointer. */
static search find_plan(lua_State *L, const char *name, const cp_span *id) {
  const cp_span way = {"", 0};
  search s = {.editor = cp_push_editor(L, 1, name, &way)};
  s.pointer = cp_push_text(L);
  add_step(L, &s, "definition");
  add_step(L, &s, "plans");
  cp_node *plans = find_plans(L, &s);
  if (plans) find_in(L, &s, plans, id);
  return s;
}

/* Migrated offers have all their keys under another name. */
static bool is_migrated(lua_State *L, const search *s) {
  static const char prefix[] = "microsoft-azure-corevm.";
  const size_t length = sizeof prefix - 1;
  for (cp_node *node = cp_node_first(s->plan); node; node = node->next) {
    cp_span key = cp_tree_plain(&s->editor->tree, &node->key);
    if (!key.at) no_memory(L);
    if (key.length >= length && memcmp(key.at, prefix, length) == 0) return true;
  }
  return false;
}

/* How well this is the place for a version: it is there, others are, or it could be. */
static int fitness(lua_State *L, const search *s, cp_node *images,
                   const cp_span *version) {
  if (!images) return 0;
  if (cp_node_kind(images) != '{') return 1;
  if (version && find_member(L, s, images, version)) return 4;
  if (cp_tree_open(&s->editor->tree, images) != CP_TREE_OK) no_memory(L);
  return cp_node_count(images) ? 3 : 2;
}

/*
** Goes on to where the plan has its images, or the one of that version if it is given.
** NULL: it has none yet; null is none.
*/
static cp_node *find_images(lua_State *L, const search *s, const cp_span *version) {
  cp_node *former = member(L, s, s->plan, OLD_KEY);
  cp_node *present = member(L, s, s->plan, NEW_KEY);
  int of_former = fitness(L, s, former, version);
  bool is_new = fitness(L, s, present, version) > of_former ||
                (!former && !present && is_migrated(L, s));
  cp_node *images = is_new ? present : former;
  add_step(L, s, is_new ? NEW_KEY : OLD_KEY);
  return images && cp_node_kind(images) != 'n' ? images : NULL;
}

/* Arguments */

/* Pushes a field of the table at 2, without metamethods. */
static void push_field(lua_State *L, const char *field) {
  lua_pushstring(L, field);
  lua_rawget(L, 2);
}

/* Pushes a field that must be a string. */
static cp_span check_field(lua_State *L, const char *name, const char *field) {
  cp_span text;
  push_field(L, field);
  if (lua_type(L, -1) != LUA_TSTRING || lua_rawlen(L, -1) == 0)
    luaL_error(L, "offer:%s: '%s' must be a string", name, field);
  text.at = lua_tolstring(L, -1, &text.length);
  return text;
}

static void check_table(lua_State *L, const char *name) {
  lua_settop(L, 2);
  if (!lua_istable(L, 1)) luaL_error(L, "offer:%s: call it with a colon", name);
  if (!lua_istable(L, 2)) luaL_error(L, "offer:%s: a table expected", name);
}

static bool is_one_of(const char *field, size_t length, const char *const *known) {
  for (; *known; known++)
    if (strlen(*known) == length && memcmp(*known, field, length) == 0) return true;
  return false;
}

static void check_names(lua_State *L, const char *name, const char *const *known) {
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    size_t length = 0;
    bool text = lua_type(L, -2) == LUA_TSTRING;
    const char *field = text ? lua_tolstring(L, -2, &length) : "";
    if (!is_one_of(field, length, known))
      luaL_error(L, "offer:%s: unknown field '%s'", name, cp_push_line(L, field, length));
  }
}

static search find_known_plan(lua_State *L, const char *name, const cp_span *plan) {
  search s = find_plan(L, name, plan);
  if (!s.plan)
    cp_fail_edit(L, s.editor, "no plan '%s'", cp_push_line(L, plan->at, plan->length));
  return s;
}

/* Warnings: a list at stack index `warnings`. They never show a URL: it is a secret. */

static void warn(lua_State *L, int warnings, const char *what, const char *text) {
  lua_pushfstring(L, "%s: %s", what, text);
  lua_rawseti(L, warnings, (int)lua_rawlen(L, warnings) + 1);
}

/* "2018-01-01", "2018-01-01T00:00Z", "2018-01-01T00:00:00Z"; -1 for anything else. */
static double read_expiry(const cp_text *text) {
  char whole[40];
  const char *given = cp_text_get(text);
  if (text->length == 10)
    snprintf(whole, sizeof whole, "%sT00:00:00Z", given);
  else if (text->length == 17 && given[16] == 'Z')
    snprintf(whole, sizeof whole, "%.16s:00Z", given);
  else
    snprintf(whole, sizeof whole, "%.39s", given);
  return cp_iso_time_read(whole);
}

static void warn_of_expiry(lua_State *L, int warnings, const char *what,
                           const cp_text *text) {
  double expires = read_expiry(text), left = expires - (double)time(NULL);
  if (expires < 0)
    warn(L, warnings, what, "its expiry (se) can't be read");
  else if (left <= 0)
    warn(L, warnings, what, "it has expired");
  else if (left < COPY_TIME)
    warn(L, warnings, what,
         lua_pushfstring(L, "it expires in %d days; the service needs three weeks",
                         (int)(left / 86400)));
}

/* A stored access policy (si) can hold expiry and permissions in their stead. */
static void warn_of_url(lua_State *L, int warnings, const char *what, const char *url) {
  int top = lua_gettop(L);
  cp_text *value = cp_push_text(L);
  bool by_policy = cp_url_parameter(url, "si", value);
  cp_text_clear(value);
  if (!cp_url_parameter(url, "sig", value))
    warn(L, warnings, what, "it has no shared access signature (sig)");
  cp_text_clear(value);
  if (cp_url_parameter(url, "se", value))
    warn_of_expiry(L, warnings, what, value);
  else if (!by_policy)
    warn(L, warnings, what, "it says no expiry (se)");
  cp_text_clear(value);
  bool says = cp_url_parameter(url, "sp", value);
  const char *permissions = cp_text_get(value);
  if (says ? !strchr(permissions, 'r') || !strchr(permissions, 'l') : !by_policy)
    warn(L, warnings, what, "it lacks permission to read and to list (sp=rl)");
  lua_settop(L, top);
}

static void check_url(lua_State *L, int warnings, const char *what, int index) {
  size_t length = 0;
  bool text = lua_type(L, index) == LUA_TSTRING;
  const char *url = text ? lua_tolstring(L, index, &length) : "";
  if (strlen(url) != length || !cp_url_is_web(url))
    luaL_error(L, "offer:add_image: '%s' must be a URL", what);
  warn_of_url(L, warnings, what, url);
}

/* add_image */

/*
** Sets a disk of the list that is at `disks`. A string is its URL, and its place in the
** list says which one it is; a table goes to the service as it is.
*/
static void set_disk(lua_State *L, int disks, int i, int warnings) {
  int top = lua_gettop(L);
  char what[40];
  snprintf(what, sizeof what, "data_disks[%d]", i);
  lua_rawgeti(L, disks, i);
  if (lua_istable(L, top + 1)) {
    lua_rawseti(L, top, i);
    return;
  }
  check_url(L, warnings, what, top + 1);
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, i - 1);
  lua_setfield(L, -2, "lun");
  lua_pushvalue(L, top + 1);
  lua_setfield(L, -2, "vhdUrl");
  lua_rawseti(L, top, i);
  lua_settop(L, top);
}

/* The length of the list at an index; raises for another table. */
static int check_disks(lua_State *L, int disks) {
  int count = 0;
  if (!lua_istable(L, disks))
    luaL_error(L, "offer:add_image: 'data_disks' must be a list");
  for (lua_pushnil(L); lua_next(L, disks); lua_pop(L, 1)) count++;
  if (count != (int)lua_rawlen(L, disks))
    luaL_error(L, "offer:add_image: 'data_disks' must be a list without holes");
  return count;
}

/* Sets `lunVhdDetails` of the image, unless only `fields` has said what they are. */
static void set_disks(lua_State *L, int image, int warnings) {
  push_field(L, "data_disks");
  lua_getfield(L, image, "lunVhdDetails");
  bool given = !lua_isnil(L, image + 1), told = !lua_isnil(L, image + 2);
  if (given && told)
    luaL_error(L, "offer:add_image: 'data_disks' and 'fields.lunVhdDetails'");
  int count = given ? check_disks(L, image + 1) : 0;
  lua_createtable(L, count, 0);
  cp_mark_array(L);
  for (int i = 1; i <= count; i++) set_disk(L, image + 1, i, warnings);
  if (!told) lua_setfield(L, image, "lunVhdDetails");
  lua_settop(L, image);
}

static void copy_fields(lua_State *L, int image) {
  push_field(L, "fields");
  int fields = lua_gettop(L);
  if (!lua_isnil(L, fields) && !lua_istable(L, fields))
    luaL_error(L, "offer:add_image: 'fields' must be a table");
  if (lua_istable(L, fields))
    for (lua_pushnil(L); lua_next(L, fields); lua_pop(L, 1)) {
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_rawset(L, image);
    }
  lua_settop(L, image);
}

static void set_os_disk(lua_State *L, int image, int warnings) {
  lua_getfield(L, image, "osVhdUrl");
  if (!lua_isnil(L, -1))
    luaL_error(L, "offer:add_image: 'os_vhd_url' and 'fields.osVhdUrl'");
  push_field(L, "os_vhd_url");
  check_url(L, warnings, "os_vhd_url", lua_gettop(L));
  lua_setfield(L, image, "osVhdUrl");
  lua_settop(L, image);
}

/* Pushes the text of the image that the table at 2 describes. */
static cp_span push_image(lua_State *L, int warnings) {
  cp_span text;
  lua_newtable(L);
  int image = lua_gettop(L);
  copy_fields(L, image);
  set_os_disk(L, image, warnings);
  set_disks(L, image, warnings);
  const char *fault = cp_push_json(L, image);
  if (fault) luaL_error(L, "offer:add_image: it holds %s", fault);
  text.at = lua_tolstring(L, -1, &text.length);
  return text;
}

static bool check_replace(lua_State *L) {
  push_field(L, "replace");
  bool yes = lua_toboolean(L, -1);
  if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
    luaL_error(L, "offer:add_image: 'replace' must be true or false");
  lua_pop(L, 1);
  return yes;
}

static void set(lua_State *L, const search *s, const cp_span *value) {
  cp_span pointer = {s->pointer->data, s->pointer->length};
  cp_edit edit = cp_edit_set(&s->editor->tree, &pointer, value);
  cp_check_edit(L, s->editor, &edit, &pointer);
}

static void put_image(lua_State *L, const search *s, cp_node *images,
                      const cp_span *version, const cp_span *image) {
  const cp_span none = {"{}", 2};
  if (images && cp_node_kind(images) != '{')
    cp_fail_edit(L, s->editor, "there is no object at '%s'",
                 cp_push_line(L, s->pointer->data, s->pointer->length));
  if (!images) set(L, s, &none);
  if (!cp_pointer_add(s->pointer, version)) no_memory(L);
  set(L, s, image);
}

/*
** offer:add_image{plan =, version =, os_vhd_url =, data_disks =, fields =, replace =}:
** adds a version to a plan; gives the offer, and a list of warnings of its URLs. Raises
** for a version that is there, unless `replace` is true.
*/
static int offer_add_image(lua_State *L) {
  static const char *const names[] = {"plan",   "version", "os_vhd_url", "data_disks",
                                      "fields", "replace", NULL};
  check_table(L, "add_image");
  check_names(L, "add_image", names);
  lua_newtable(L);
  int warnings = lua_gettop(L);
  bool replaces = check_replace(L);
  cp_span plan = check_field(L, "add_image", "plan");
  cp_span version = check_field(L, "add_image", "version");
  cp_span image = push_image(L, warnings);
  search s = find_known_plan(L, "add_image", &plan);
  cp_node *images = find_images(L, &s, &version);
  if (images && find_member(L, &s, images, &version) && !replaces)
    cp_fail_edit(L, s.editor,
                 "plan '%s' has a version '%s' already: choose another, or give "
                 "replace = true",
                 cp_push_line(L, plan.at, plan.length),
                 cp_push_line(L, version.at, version.length));
  put_image(L, &s, images, &version, &image);
  cp_finish_edits(L, s.editor);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, warnings);
  return 2;
}

/* offer:remove_image{plan =, version =}: takes a version away; gives the offer. */
static int offer_remove_image(lua_State *L) {
  static const char *const names[] = {"plan", "version", NULL};
  check_table(L, "remove_image");
  check_names(L, "remove_image", names);
  cp_span plan = check_field(L, "remove_image", "plan");
  cp_span version = check_field(L, "remove_image", "version");
  search s = find_known_plan(L, "remove_image", &plan);
  cp_node *images = find_images(L, &s, &version);
  if (!cp_pointer_add(s.pointer, &version)) no_memory(L);
  cp_span pointer = {s.pointer->data, s.pointer->length};
  cp_edit edit = {CP_FAULT_MISSING, pointer.length};
  if (images && cp_node_kind(images) == '{')
    edit = cp_edit_remove(&s.editor->tree, &pointer);
  cp_check_edit(L, s.editor, &edit, &pointer);
  cp_finish_edits(L, s.editor);
  lua_settop(L, 1);
  return 1;
}

/* offer:images(plan): its images by version; nil when there is no such plan. */
static int offer_images(lua_State *L) {
  cp_span plan;
  lua_settop(L, 2);
  if (!lua_istable(L, 1)) luaL_error(L, "offer:images: call it with a colon");
  if (lua_type(L, 2) != LUA_TSTRING)
    luaL_error(L, "offer:images: a plan's id must be a string, not %s",
               luaL_typename(L, 2));
  plan.at = lua_tolstring(L, 2, &plan.length);
  search s = find_plan(L, "images", &plan);
  cp_node *images = s.plan ? find_images(L, &s, NULL) : NULL;
  if (!s.plan)
    lua_pushnil(L);
  else if (images && cp_node_kind(images) == '{')
    cp_push_value(L, images->value.at, images->value.length);
  else
    lua_newtable(L);
  cp_close_editor(s.editor);
  return 1;
}

void cp_add_images(lua_State *L) {
  static const luaL_Reg methods[] = {{"add_image", offer_add_image},
                                     {"remove_image", offer_remove_image},
                                     {"images", offer_images},
                                     {NULL, NULL}};
  for (const luaL_Reg *method = methods; method->name; method++) {
    lua_pushcfunction(L, method->func);
    lua_setfield(L, -2, method->name);
  }
}
