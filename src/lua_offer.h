/*
** lua_offer.h - offers as objects: their text, and edits of it by JSON Pointer
*/
#ifndef CP_LUA_OFFER_H
#define CP_LUA_OFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "lua_compat.h"
#include "pointer.h"

/* The name of their metatable. */
#define CP_OFFER "cloudpartner.offer"

/* Registers the methods of offers, and sets `offer` in the module's table on top. */
void cp_open_offer(lua_State *L);

/* lua_images.c: adds the methods for images to the table on top. */
void cp_add_images(lua_State *L);

/*
** Pushes an offer. Its id and etag may be NULL; the text is the string on top of the
** stack, which is replaced.
*/
void cp_push_offer(lua_State *L, const char *id, const char *etag, size_t etag_length);

/* The text of the offer at `index`: its field `json`, or a string itself; NULL: none. */
const char *cp_offer_text(lua_State *L, int index, size_t *length);

/* Pushes the list of the pointers that cp_note_pointer noted. */
void cp_push_pointers(lua_State *L, const cp_text *text);

/* Is this text a JSON object, and nothing else? */
bool cp_is_object(const char *text, size_t length);

/*
** An offer's text open for edits, in a userdata: it is freed whatever raises meanwhile.
** `name` is the method's, for messages; `offer` the stack index.
*/
typedef struct cp_editor {
  cp_tree tree;
  cp_text out;
  const char *name;
  int offer;
} cp_editor;

/*
** Pushes an editor of the offer at an index; `way`: the pointer that comes first. It
** holds the text, whatever becomes of the offer meanwhile.
*/
cp_editor *cp_push_editor(lua_State *L, int offer, const char *name, const cp_span *way);

/* Closes the editor and raises: "offer:", its name, and this. */
int cp_fail_edit(lua_State *L, cp_editor *editor, const char *format, ...);

/* The same for what kept an edit from being made; nothing when it was. */
void cp_check_edit(lua_State *L, cp_editor *editor, const cp_edit *edit,
                   const cp_span *pointer);

/* Pushes a text as one line of up to 300 bytes. */
const char *cp_push_line(lua_State *L, const char *text, size_t length);

/* Writes the text as it is now to the editor's `out`. */
void cp_write_edits(lua_State *L, cp_editor *editor);

/* Gives the offer that text. */
void cp_finish_edits(lua_State *L, cp_editor *editor);

/* Frees what an editor holds, sooner than the collector would. */
void cp_close_editor(cp_editor *editor);

#endif
