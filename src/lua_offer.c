/*
** lua_offer.c - offers as objects: their text, and edits of it by JSON Pointer
*/
#include "lua_offer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "compare.h"
#include "lua_json.h"
#include "lua_options.h"
#include "lua_value.h"
#include "plain.h"

#define CP_EDITOR "cloudpartner.editor"

/* In the registry: of each offer whose document was read, that and the text it is of. */
#define DOCUMENTS "cloudpartner.documents"

/* Likewise: a text that is written to again and again. */
#define SCRATCH "cloudpartner.scratch"

/* The most of somebody else's text that goes into a message, in bytes. */
#define LINE_MAX_BYTES 300

const char *cp_offer_text(lua_State *L, int index, size_t *length) {
  if (lua_type(L, index) == LUA_TSTRING) return lua_tolstring(L, index, length);
  if (!lua_istable(L, index)) return NULL;
  const char *text = cp_field_text(L, index, "json", length);
  lua_pop(L, 1); /* the table holds it */
  return text;
}

void cp_push_offer(lua_State *L, const char *id, const char *etag, size_t etag_length) {
  luaL_checkstack(L, 5, "an offer");
  lua_createtable(L, 0, 4);
  lua_insert(L, -2);
  lua_setfield(L, -2, "json");
  if (id) {
    lua_pushstring(L, id);
    lua_setfield(L, -2, "id");
  }
  if (etag) {
    lua_pushlstring(L, etag, etag_length);
    lua_setfield(L, -2, "etag");
  }
  luaL_getmetatable(L, CP_OFFER);
  lua_setmetatable(L, -2);
}

/* Editors */

void cp_close_editor(cp_editor *editor) {
  cp_tree_free(&editor->tree);
  cp_text_free(&editor->out);
}

static int editor_gc(lua_State *L) {
  cp_close_editor(lua_touserdata(L, 1));
  return 0;
}

static cp_editor *new_editor(lua_State *L, int offer, const char *name) {
  cp_editor *editor = lua_newuserdatauv(L, sizeof *editor, 1);
  memset(editor, 0, sizeof *editor);
  luaL_getmetatable(L, CP_EDITOR);
  lua_setmetatable(L, -2);
  editor->name = name;
  editor->offer = offer;
  return editor;
}

/* Puts the string on top of the stack into the editor below it: so it stays. */
static void hold_text(lua_State *L) {
  lua_createtable(L, 1, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  lua_setuservalue(L, -2);
}

static void push_text(lua_State *L, int offer) {
  if (lua_istable(L, offer)) {
    lua_pushliteral(L, "json");
    lua_rawget(L, offer);
  } else {
    lua_pushvalue(L, offer);
  }
}

cp_editor *cp_push_editor(lua_State *L, int offer, const char *name, const cp_span *way) {
  size_t length;
  luaL_checkstack(L, 10, "an editor");
  cp_editor *editor = new_editor(L, offer, name);
  push_text(L, offer);
  const char *text =
      lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
  if (!text) luaL_error(L, "offer:%s: an offer with its text in 'json' expected", name);
  hold_text(L);
  cp_edit edit = cp_edit_begin(&editor->tree, text, length, way);
  cp_check_edit(L, editor, &edit, way);
  return editor;
}

int cp_fail_edit(lua_State *L, cp_editor *editor, const char *format, ...) {
  va_list arguments;
  luaL_where(L, 1);
  lua_pushfstring(L, "offer:%s: ", editor->name);
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 3);
  cp_close_editor(editor);
  return lua_error(L);
}

const char *cp_push_line(lua_State *L, const char *text, size_t length) {
  char line[LINE_MAX_BYTES + CP_LINE_EXTRA];
  lua_pushlstring(L, line, cp_line(text, length, LINE_MAX_BYTES, line));
  return lua_tostring(L, -1);
}

void cp_check_edit(lua_State *L, cp_editor *editor, const cp_edit *edit,
                   const cp_span *pointer) {
  if (edit->fault == CP_FAULT_NONE) return;
  if (edit->fault == CP_FAULT_MEMORY) {
    cp_close_editor(editor);
    luaL_error(L, "not enough memory");
  }
  cp_fail_edit(L, editor, "%s '%s'", cp_fault_words(edit->fault),
               cp_push_line(L, pointer->at, edit->length));
}

/*
** What one edit has written to is kept for the next, up to so many bytes: for a large
** offer, fresh memory from the system costs as much as all the rest.
*/
#define SCRATCH_MAX ((size_t)4 * 1024 * 1024)

static cp_text *scratch_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SCRATCH);
  cp_text *scratch = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return scratch;
}

static void swap(cp_text *a, cp_text *b) {
  cp_text other = *a;
  *a = *b;
  *b = other;
}

static void keep_scratch(lua_State *L, cp_editor *editor) {
  cp_text *scratch = scratch_of(L);
  if (editor->out.size > SCRATCH_MAX || editor->out.size < scratch->size) return;
  swap(&editor->out, scratch);
  cp_text_clear(scratch);
}

/* Room at once for about all of it: what grows is copied again and again. */
static bool write_all(cp_editor *editor) {
  const cp_node *root = &editor->tree.root;
  return cp_text_reserve(&editor->out, root->value.length + editor->tree.added) &&
         cp_text_add(&editor->out, root->before.at, root->before.length) &&
         cp_node_write(root, &editor->out) &&
         cp_text_add(&editor->out, root->after.at, root->after.length);
}

void cp_write_edits(lua_State *L, cp_editor *editor) {
  swap(&editor->out, scratch_of(L));
  if (!write_all(editor)) luaL_error(L, "not enough memory");
}

void cp_finish_edits(lua_State *L, cp_editor *editor) {
  cp_write_edits(L, editor);
  lua_pushlstring(L, cp_text_get(&editor->out), editor->out.length);
  lua_setfield(L, editor->offer, "json");
  keep_scratch(L, editor);
  cp_close_editor(editor);
}

/* Arguments */

static cp_span check_pointer(lua_State *L, int index, const char *name) {
  cp_span pointer;
  if (lua_type(L, index) != LUA_TSTRING)
    luaL_error(L, "offer:%s: a pointer must be a string, not %s", name,
               luaL_typename(L, index));
  pointer.at = lua_tolstring(L, index, &pointer.length);
  return pointer;
}

static void check_offer(lua_State *L, const char *name) {
  if (!lua_istable(L, 1)) luaL_error(L, "offer:%s: call it with a colon", name);
}

/* Pushes the text of the value at `index`, which is to be at `pointer`. */
static cp_span check_value(lua_State *L, int index, cp_editor *editor,
                           const cp_span *pointer) {
  cp_span value;
  const char *fault = cp_push_json(L, index);
  if (fault)
    cp_fail_edit(L, editor, "%s can't be put at '%s'", fault,
                 cp_push_line(L, pointer->at, pointer->length));
  value.at = lua_tolstring(L, -1, &value.length);
  return value;
}

/* Methods */

/*
** offer:get(pointer): the value that is there, nil when there is none. Arrays keep being
** arrays when they are set again; integers that Lua can't hold are cloudpartner.raw.
*/
static int offer_get(lua_State *L) {
  cp_node *node;
  check_offer(L, "get");
  lua_settop(L, 2);
  cp_span pointer = check_pointer(L, 2, "get");
  cp_editor *editor = cp_push_editor(L, 1, "get", &pointer);
  cp_edit edit = cp_edit_find(&editor->tree, &pointer, &node);
  bool missing = edit.fault == CP_FAULT_MISSING || edit.fault == CP_FAULT_RANGE ||
                 edit.fault == CP_FAULT_SCALAR;
  if (!missing) cp_check_edit(L, editor, &edit, &pointer);
  if (missing)
    lua_pushnil(L);
  else
    cp_push_value(L, node->value.at, node->value.length);
  cp_close_editor(editor);
  return 1;
}

static int edit_value(lua_State *L, const char *name,
                      cp_edit (*made)(cp_tree *, const cp_span *, const cp_span *)) {
  check_offer(L, name);
  lua_settop(L, 3);
  cp_span pointer = check_pointer(L, 2, name);
  cp_editor *editor = cp_push_editor(L, 1, name, &pointer);
  cp_span value = check_value(L, 3, editor, &pointer);
  cp_edit edit = made(&editor->tree, &pointer, &value);
  cp_check_edit(L, editor, &edit, &pointer);
  cp_finish_edits(L, editor);
  lua_settop(L, 1);
  return 1;
}

/* offer:set(pointer, value): puts a value there; gives the offer. Raises if it can't. */
static int offer_set(lua_State *L) {
  return edit_value(L, "set", cp_edit_set);
}

/* offer:append(pointer, value): puts a value at the end of the array that is there. */
static int offer_append(lua_State *L) {
  return edit_value(L, "append", cp_edit_append);
}

/* offer:remove(pointer): takes away what is there; gives the offer. */
static int offer_remove(lua_State *L) {
  check_offer(L, "remove");
  lua_settop(L, 2);
  cp_span pointer = check_pointer(L, 2, "remove");
  cp_editor *editor = cp_push_editor(L, 1, "remove", &pointer);
  cp_edit edit = cp_edit_remove(&editor->tree, &pointer);
  cp_check_edit(L, editor, &edit, &pointer);
  cp_finish_edits(L, editor);
  lua_settop(L, 1);
  return 1;
}

/* patch. The offer is at 1, the list at 2, the editor at 3, the operation at 4. */

enum { OFFER = 1, LIST, EDITOR, OPERATION };

/* A patch names the operation that failed: its place, and what it was to do. */
typedef struct patch {
  cp_editor *editor;
  int number;
  char name[64];
} patch;

static void name_operation(patch *p, const char *word) {
  snprintf(p->name, sizeof p->name, "patch, operation %d%s%s", p->number, word ? " " : "",
           word ? word : "");
  p->editor->name = p->name;
}

/* Pushes a member of the operation that must be a string. */
static cp_span check_member(lua_State *L, const patch *p, const char *member) {
  cp_span text = {cp_field_text(L, OPERATION, member, &text.length), text.length};
  if (!text.at) cp_fail_edit(L, p->editor, "'%s' must be a string", member);
  return text;
}

/* Pushes the text of the operation's value. */
static cp_span check_operand(lua_State *L, const patch *p, const cp_span *path) {
  lua_pushliteral(L, "value");
  lua_rawget(L, OPERATION);
  if (lua_isnil(L, -1))
    cp_fail_edit(L, p->editor, "'value' is missing (JSON's null is cjson.null)");
  return check_value(L, lua_gettop(L), p->editor, path);
}

static const struct {
  const char *word;
  cp_edit (*edit)(cp_tree *, const cp_span *, const cp_span *);
} with_value[] = {
    {"add", cp_edit_add}, {"replace", cp_edit_replace}, {"test", cp_edit_test}};

static bool apply_with_value(lua_State *L, patch *p, const char *word,
                             const cp_span *path) {
  for (size_t i = 0; i < sizeof with_value / sizeof *with_value; i++) {
    if (strcmp(with_value[i].word, word) != 0) continue;
    cp_span value = check_operand(L, p, path);
    cp_edit edit = with_value[i].edit(&p->editor->tree, path, &value);
    cp_check_edit(L, p->editor, &edit, path);
    return true;
  }
  return false;
}

static bool apply_with_from(lua_State *L, const patch *p, const char *word,
                            const cp_span *path) {
  bool moves = strcmp(word, "move") == 0, of_from;
  if (!moves && strcmp(word, "copy") != 0) return false;
  cp_span from = check_member(L, p, "from");
  cp_edit edit =
      (moves ? cp_edit_move : cp_edit_copy)(&p->editor->tree, &from, path, &of_from);
  cp_check_edit(L, p->editor, &edit, of_from ? &from : path);
  return true;
}

static bool apply_remove(lua_State *L, const patch *p, const char *word,
                         const cp_span *path) {
  if (strcmp(word, "remove") != 0) return false;
  cp_edit edit = cp_edit_remove(&p->editor->tree, path);
  cp_check_edit(L, p->editor, &edit, path);
  return true;
}

static void apply(lua_State *L, patch *p) {
  name_operation(p, NULL);
  if (!lua_istable(L, OPERATION))
    cp_fail_edit(L, p->editor, "a table expected, not %s", luaL_typename(L, OPERATION));
  cp_span op = check_member(L, p, "op");
  const char *word = memchr(op.at, 0, op.length) ? "" : op.at;
  name_operation(p, cp_push_line(L, op.at, op.length < 16 ? op.length : 16));
  cp_span path = check_member(L, p, "path");
  if (!apply_with_value(L, p, word, &path) && !apply_with_from(L, p, word, &path) &&
      !apply_remove(L, p, word, &path))
    cp_fail_edit(L, p->editor, "no operation of RFC 6902");
}

/* The length of the list; raises for a table that is none, one operation above all. */
static int check_list(lua_State *L) {
  size_t count = 0, length = lua_rawlen(L, LIST);
  for (lua_pushnil(L); lua_next(L, LIST); lua_pop(L, 1)) count++;
  if (count != length)
    luaL_error(L, "offer:patch: a list of operations expected: {{op = ...}, ...}");
  return (int)length;
}

/*
** offer:patch(list): the operations of RFC 6902 in their order, all or none; gives the
** offer. Raises for the first that can't be done, a `test` that fails among them.
*/
static int offer_patch(lua_State *L) {
  check_offer(L, "patch");
  lua_settop(L, 2);
  if (!lua_istable(L, LIST)) luaL_error(L, "offer:patch: a list of operations expected");
  int count = check_list(L);
  patch p = {.editor = cp_push_editor(L, OFFER, "patch", &(cp_span){"", 0})};
  for (p.number = 1; p.number <= count; p.number++) {
    lua_rawgeti(L, LIST, p.number);
    apply(L, &p);
    lua_settop(L, EDITOR);
  }
  cp_finish_edits(L, p.editor);
  lua_settop(L, OFFER);
  return 1;
}

/* diff */

void cp_push_pointers(lua_State *L, const cp_text *text) {
  size_t length, at = 0;
  lua_newtable(L);
  for (int i = 1; at < text->length; i++, at += length) {
    memcpy(&length, text->data + at, sizeof length);
    at += sizeof length;
    lua_pushlstring(L, text->data + at, length);
    lua_rawseti(L, -2, i);
  }
}

/* Before an editor is open, which a raise would leave so. */
static void check_other(lua_State *L) {
  cp_json json;
  size_t length;
  const char *text = cp_offer_text(L, 2, &length);
  if (!text) luaL_error(L, "offer:diff: an offer with its text in 'json' expected");
  cp_json_begin(&json, text, length);
  if (!cp_json_skip(&json) || !cp_json_ended(&json))
    luaL_error(L, "offer:diff: the other text is no JSON");
}

/*
** offer:diff(other): the pointers at which two offers (or JSON texts) differ, in the
** order of this one; in each object those that only the other has come last. The order of
** members, blanks, and the spelling of numbers and strings make no difference.
*/
static int offer_diff(lua_State *L) {
  check_offer(L, "diff");
  lua_settop(L, 2);
  const cp_span whole = {"", 0};
  check_other(L);
  cp_editor *a = cp_push_editor(L, 1, "diff", &whole);
  cp_editor *b = cp_push_editor(L, 2, "diff", &whole);
  cp_text *pointers = cp_push_text(L);
  bool ok = cp_compare(&a->tree, &a->tree.root, &b->tree, &b->tree.root, NULL,
                       cp_note_pointer, pointers);
  cp_close_editor(a);
  cp_close_editor(b);
  if (!ok) luaL_error(L, "not enough memory");
  cp_push_pointers(L, pointers);
  cp_text_free(pointers);
  return 1;
}

/* document */

/* Pushes the document that was made of this text; false, and nothing: there is none. */
static bool push_known(lua_State *L, int documents, int text) {
  lua_pushvalue(L, 1);
  lua_rawget(L, documents);
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    if (lua_rawequal(L, text, -2)) return true;
  }
  lua_settop(L, text);
  return false;
}

static void remember(lua_State *L, int documents, int text) {
  int document = lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, text);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, document);
  lua_rawseti(L, -2, 2);
  lua_rawset(L, documents);
}

/* The text decoded, for reading; made when it is asked for, and anew after an edit. */
static int push_document(lua_State *L) {
  size_t length;
  cp_json json;
  const char *text = cp_field_text(L, 1, "json", &length);
  if (!text) return 0;
  int string = lua_gettop(L) + 1, documents = string - 1;
  lua_getfield(L, LUA_REGISTRYINDEX, DOCUMENTS);
  lua_insert(L, documents);
  if (push_known(L, documents, string)) return 1;
  cp_json_begin(&json, text, length);
  if (!cp_json_skip(&json) || !cp_json_ended(&json)) return 0;
  cp_push_value(L, text, length);
  remember(L, documents, string);
  lua_settop(L, string + 1);
  return 1;
}

/* With the methods as its upvalue. */
static int offer_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  bool reads = lua_type(L, 2) == LUA_TSTRING && lua_istable(L, 1) &&
               strcmp(lua_tostring(L, 2), "document") == 0;
  return reads ? push_document(L) : 1;
}

static int offer_tostring(lua_State *L) {
  size_t length;
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *id = cp_field_text(L, 1, "id", &length);
  lua_pushfstring(L, "cloudpartner offer (%s)", id ? id : "without an id");
  return 1;
}

static const luaL_Reg methods[] = {
    {"get", offer_get},
    {"set", offer_set},
    {"append", offer_append},
    {"remove", offer_remove},
    {"patch", offer_patch},
    {"diff", offer_diff},
    {NULL, NULL},
};

static void make_documents(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, DOCUMENTS);
}

bool cp_is_object(const char *text, size_t length) {
  cp_json json;
  cp_json_begin(&json, text, length);
  return cp_json_peek(&json) == '{' && cp_json_skip(&json) && cp_json_ended(&json);
}

/* Pushes the text of the text, table or offer at 1. */
static void push_document_text(lua_State *L) {
  const char *fault = NULL;
  if (lua_istable(L, 1) && cp_has_metatable(L, 1, CP_OFFER))
    push_text(L, 1);
  else if (lua_istable(L, 1))
    fault = cp_push_json(L, 1);
  else
    lua_pushvalue(L, 1);
  if (fault) luaL_error(L, "bad argument 'document': it holds %s", fault);
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L,
               "bad argument 'document': JSON text, a table or an offer expected, "
               "not %s",
               luaL_typename(L, -1));
}

/* Replaces it by that, which must be an object. */
static void check_document(lua_State *L) {
  size_t length;
  push_document_text(L);
  lua_replace(L, 1);
  const char *text = lua_tolstring(L, 1, &length);
  if (!cp_is_object(text, length))
    luaL_error(L, "bad argument 'document': it is no JSON object");
}

/*
** cloudpartner.offer(document [, id]): an offer that is not the service's yet, of JSON
** text (kept byte for byte), of a table, or of another offer.
*/
static int new_offer(lua_State *L) {
  lua_settop(L, 2);
  check_document(L);
  const char *id = lua_isnil(L, 2) ? NULL : cp_check_id(L, 2, "id");
  lua_pushvalue(L, 1);
  cp_push_offer(L, id, NULL, 0);
  return 1;
}

void cp_open_offer(lua_State *L) {
  make_documents(L);
  *cp_push_text(L) = (cp_text){0};
  lua_setfield(L, LUA_REGISTRYINDEX, SCRATCH);
  luaL_newmetatable(L, CP_EDITOR);
  lua_pushcfunction(L, editor_gc);
  lua_setfield(L, -2, "__gc");
  luaL_newmetatable(L, CP_OFFER);
  luaL_newlib(L, methods);
  cp_add_images(L);
  lua_pushcclosure(L, offer_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, offer_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 2);
  lua_pushcfunction(L, new_offer);
  lua_setfield(L, -2, "offer");
}
