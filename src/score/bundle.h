/*
 * bundle.h
 *		The type mlops.bundle: what serves of a model, as a value.
 *
 * A header of fixed length, then the artifact as it is stored. The header is
 * read by itself, so that a value that is stored out of line costs nothing
 * where its model is known already. docs/formats.md has the bytes; integers
 * are little-endian, so that bundles travel between machines.
 */
#ifndef ML_BUNDLE_H
#define ML_BUNDLE_H

#include "postgres.h"

#include "registry/registry.h"

#define ML_BUNDLE_HEADER	128
#define ML_BUNDLE_TYPE		"mlops.bundle"

typedef struct MlBundle
{
	MlTask		task;
	MlResolved	resolved;		/* model, version, checksum, threshold */
} MlBundle;

/* what the header says; ML004 unless it is one. bytes: of the whole value, or its first ones */
extern void ml_bundle_header(const char *bytes, Size length, MlBundle *bundle);

/* a value of the parts; the checksum must be the artifact's */
extern struct varlena *ml_bundle_make(const MlResolved *resolved, MlTask task, const bytea *artifact);

/* the artifact of a bundle; the value may be toasted */
extern bytea *ml_bundle_artifact(struct varlena *value);

#endif							/* ML_BUNDLE_H */
