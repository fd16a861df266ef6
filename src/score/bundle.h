/*
 * bundle.h
 *		The type mlops.bundle: what serves of a model, as a value.
 *
 * A header, then the artifact as it is stored; with rules, their program and
 * the versions that they use come after it, and the header is longer. Where a
 * canary runs, both bundles come whole after a header of their own. The header is
 * read by itself, so that a value that is stored out of line costs nothing
 * where its model is known already. docs/formats.md has the bytes; integers
 * are little-endian, so that bundles travel between machines.
 */
#ifndef ML_BUNDLE_H
#define ML_BUNDLE_H

#include "postgres.h"

#include "registry/registry.h"
#include "rule/rule.h"

#define ML_BUNDLE_HEADER	128
#define ML_BUNDLE_RULED_HEADER	192	/* of a bundle with rules */
#define ML_BUNDLE_CANARY_HEADER	192	/* of two bundles */
#define ML_BUNDLE_TYPE		"mlops.bundle"

typedef struct MlBundle
{
	MlTask		task;
	MlResolved	resolved;		/* model, version, checksum, threshold, rules: the checksum of all that is theirs */
	Size		header_length;
	Size		artifact_length;	/* with rules; without, it goes on to the end */
	Size		program_length;
	int			nused;
	int64		now;			/* of rules: when the bundle was resolved */
	Size		active_length;	/* with a canary (resolved.canary: version, share, seed): of the other bundle's bytes */
} MlBundle;

/* a version that rules use, in a bundle */
typedef struct MlBundleUsed
{
	int			wanted;			/* by the rule: a version, or ML_RULE_FALLBACK */
	MlResolved	resolved;
	bytea	   *artifact;
} MlBundleUsed;

typedef struct MlBundleRules
{
	MlRuleProgram *program;
	int			nused;
	MlBundleUsed *used;
} MlBundleRules;

/* what the header says; ML004 unless it is one. bytes: of the whole value, or its first ones */
extern void ml_bundle_header(const char *bytes, Size length, MlBundle *bundle);

/* a value of the parts; the checksum must be the artifact's */
extern struct varlena *ml_bundle_make(const MlResolved *resolved, MlTask task, const bytea *artifact);

/* the same with the rules of the resolved bundle; reads the registry */
extern struct varlena *ml_bundle_make_ruled(const MlResolved *resolved, MlTask task, const bytea *artifact);

/*
 * bundle_canary.c: the active bundle and the canary as one value, and apart
 * again in the current context; ML004
 */
extern struct varlena *ml_bundle_join(const MlResolved *active, const struct varlena *of_active, const struct varlena *of_canary);
extern void ml_bundle_split(struct varlena *value, const MlBundle *bundle, struct varlena **active, struct varlena **canary);
extern void ml_bundle_canary_header(const char *bytes, Size length, MlBundle *bundle);

/* the header of a bundle that is no pair; ML004 */
extern void ml_bundle_single_header(const struct varlena *value, MlBundle *bundle);

/* bundle_rules.c: those of a bundle that has some, in the current context; ML004 */
extern void ml_bundle_rules(struct varlena *value, const MlBundle *bundle, MlBundleRules *rules);

/* appends what a bundle has of rules, and fills in their part of its header; in the current context */
extern bytea *ml_bundle_rules_bytes(const MlResolved *resolved, char *header);

/* 54000: the version is too large to be a value */
ml_noreturn extern void ml_bundle_too_large(const MlResolved *resolved, Size length);

/* ML004: not a bundle */
ml_noreturn extern void ml_bundle_refuse(const char *detail);

/* the formats, and where their number is */
#define ML_BUNDLE_FORMAT			1
#define ML_BUNDLE_FORMAT_RULED		2
#define ML_BUNDLE_FORMAT_CANARY		3
#define ML_BUNDLE_AT_FORMAT			8

/* where the fields of a header with rules are */
#define ML_BUNDLE_AT_RULES_SHA256	128
#define ML_BUNDLE_AT_NOW			160
#define ML_BUNDLE_AT_ARTIFACT		168
#define ML_BUNDLE_AT_PROGRAM		176
#define ML_BUNDLE_AT_USED			184
#define ML_BUNDLE_AT_NUMBER			188

/* the artifact of a bundle without a canary; the value may be toasted */
extern bytea *ml_bundle_artifact(struct varlena *value);

#endif							/* ML_BUNDLE_H */
