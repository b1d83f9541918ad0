/*
** offer.c - what in an offer's document is the service's own
*/
#include "offer.h"

#include <stdio.h>
#include <string.h>

#include "pointer.h"

static bool is_one_of(const cp_span *key, const char *const *names) {
  for (; *names; names++)
    if (strlen(*names) == key->length && memcmp(*names, key->at, key->length) == 0)
      return true;
  return false;
}

/* Since 2024 a PUT with these is refused, though GET gives them: wire, "Offers". */
static bool is_refused(const cp_span *key) {
  static const char *const names[] = {"microsoft-azure-corevm.legacyOfferId",
                                      "microsoft-azure-corevm.legacyPublisherId", NULL};
  return is_one_of(key, names);
}

/* What it writes itself, or gives out without taking it back, is no part of the offer. */
static bool is_service_own(const cp_span *key, bool at_top) {
  static const char *const names[] = {
      "version",           "changedTime",       "status", "etag", "eTag", "slot",
      "pcMigrationStatus", "isvUpgradeRequest", NULL};
  return (at_top && is_one_of(key, names)) || is_refused(key);
}

bool cp_offer_same(const cp_text *a, const cp_text *b, bool *same) {
  cp_span of_a = {cp_text_get(a), a->length}, of_b = {cp_text_get(b), b->length};
  return cp_same_document(&of_a, &of_b, is_service_own, same);
}

bool cp_offer_compare(const cp_text *a, const cp_text *b, cp_differs told,
                      void *context) {
  cp_tree of_a = {0}, of_b = {0};
  bool ok =
      cp_tree_begin(&of_a, cp_text_get(a), a->length, NULL) == CP_TREE_OK &&
      cp_tree_begin(&of_b, cp_text_get(b), b->length, NULL) == CP_TREE_OK &&
      cp_compare(&of_a, &of_a.root, &of_b, &of_b.root, is_service_own, told, context);
  cp_tree_free(&of_a);
  cp_tree_free(&of_b);
  return ok;
}

typedef struct pruning {
  cp_tree *tree;
  cp_differs told;
  void *context;
  cp_text pointer;
} pruning;

static bool prune(pruning *p, cp_node *node);

static bool prune_child(pruning *p, cp_node *child, const cp_span *step, bool refused) {
  size_t length = p->pointer.length;
  bool ok = cp_pointer_add(&p->pointer, step);
  if (ok && refused)
    ok = p->told(p->context, &p->pointer);
  else if (ok)
    ok = prune(p, child);
  if (refused) cp_tree_remove(child);
  p->pointer.length = length;
  return ok;
}

static bool prune_object(pruning *p, cp_node *object) {
  bool ok = true;
  cp_node *next;
  for (cp_node *child = cp_node_first(object); ok && child; child = next) {
    next = child->next;
    cp_span key = cp_tree_plain(p->tree, &child->key);
    ok = key.at && prune_child(p, child, &key, is_refused(&key));
  }
  return ok;
}

static bool prune_array(pruning *p, cp_node *array) {
  bool ok = true;
  char digits[24];
  cp_node *child = cp_node_first(array);
  for (size_t i = 0; ok && child; i++, child = child->next) {
    cp_span index = {digits, (size_t)snprintf(digits, sizeof digits, "%zu", i)};
    ok = prune_child(p, child, &index, false);
  }
  return ok;
}

static bool prune(pruning *p, cp_node *node) {
  char kind = cp_node_kind(node);
  if (kind != '{' && kind != '[') return true;
  if (cp_tree_open(p->tree, node) != CP_TREE_OK) return false;
  return kind == '{' ? prune_object(p, node) : prune_array(p, node);
}

bool cp_offer_prune(cp_tree *tree, cp_differs told, void *context) {
  pruning p = {tree, told, context, {0}};
  bool ok = prune(&p, &tree->root);
  cp_text_free(&p.pointer);
  return ok;
}
