/*
** document.h - the service's documents digested: from JSON text to what a machine needs
*/
#ifndef CP_DOCUMENT_H
#define CP_DOCUMENT_H

#include "api.h"
#include "digest.h"

/*
** Fills the document's part of a digest from the text of an answer's body, which must
** stay as long as the digest is used. Text that is no such document leaves it not
** understood.
*/
void cp_document_digest(cp_document document, const cp_text *body, cp_digest *digest);

/* Frees what the digest of a list holds. */
void cp_digest_free(cp_digest *digest);

#endif
