/*
** offer.h - what in an offer's document is the service's own
*/
#ifndef CP_OFFER_H
#define CP_OFFER_H

#include "compare.h"

/*
** Are two texts the same offer, but for what is the service's own? Texts that are no JSON
** are not. False without memory.
*/
bool cp_offer_same(const cp_text *a, const cp_text *b, bool *same);

/*
** Tells the pointers at which they differ. False without memory, when one is no JSON, or
** when `told` said so.
*/
bool cp_offer_compare(const cp_text *a, const cp_text *b, cp_differs told, void *context);

/*
** Takes away, wherever they are, the members that the service gives out and refuses when
** they come back; `told` hears their pointers. False without memory.
*/
bool cp_offer_prune(cp_tree *tree, cp_differs told, void *context);

#endif
