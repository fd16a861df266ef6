/*
 * spec.h
 *		What a version is trained from: the arguments of mlops_train as one
 *		value, to and from its canonical JSON.
 */
#ifndef ML_SPEC_H
#define ML_SPEC_H

#include "postgres.h"

#include "frame/frame.h"
#include "registry/author.h"
#include "utils/jsonb.h"

#define ML_DEFAULT_HOLDOUT	0.2
#define ML_DEFAULT_SEED		42
#define ML_DEFAULT_GROUP_ROWS 50

/* what runs the passes of a fit */
typedef enum MlEngine
{
	ML_ENGINE_AUTO,				/* memory, if the rows fit */
	ML_ENGINE_MEMORY, ML_ENGINE_SQL
} MlEngine;

/* of the rows that a version was trained on, what is kept to know them again */
typedef enum MlRowFingerprints
{
	ML_FINGERPRINTS_AUTO,		/* exact up to ten million rows */
	ML_FINGERPRINTS_EXACT, ML_FINGERPRINTS_FILTER, ML_FINGERPRINTS_NONE
} MlRowFingerprints;

typedef struct MlTrainOptions
{
	bool		refit;			/* fit again on all rows after measuring */
	bool		keep_rows;
	bool		scratch;
	bool		canonical_order;
	int64		min_group_rows; /* of a group that is fitted alone */
	int			engine;			/* MlEngine */
	int			row_fingerprints;	/* MlRowFingerprints */
} MlTrainOptions;

typedef struct MlSpec
{
	char	   *source;
	char	   *target;			/* NULL: the model's */
	char	   *algorithm;		/* NULL: by the target's type */
	Jsonb	   *params;			/* as given; NULL: none */
	char	  **features;		/* NULL: every other column */
	int			nfeatures;
	char	  **exclude;
	int			nexclude;
	char	   *key;			/* these may be NULL */
	char	   *time_column;
	char	   *weight;
	char	   *group_by;
	char	   *since;			/* rows whose time is before it are left out */
	char	   *until;			/* and those from here on */
	bool		bounds_are_numbers;	/* since and until, for a time column of integers; else they are moments */
	double		holdout;
	int64		seed;
	MlTrainOptions options;
	char	   *settings[ML_NSETTINGS];	/* that the source is read under, and its values printed */

	/*
	 * The role that wrote the source: it runs as that role. NULL: the role
	 * that trains.
	 */
	char	   *author;
} MlSpec;

/* a spec of defaults, with the settings of the session */
extern void ml_spec_begin(MlSpec *spec);
extern void ml_spec_take_settings(MlSpec *spec);	/* those of the session */

/*
 * Both raise 22023 with what was found against what is wanted for whatever
 * can be told without reading a row.
 */
extern void ml_spec_take_options(MlSpec *spec, Jsonb *options);
extern void ml_spec_check(const MlSpec *spec);

/* what is read: the source, or those of its rows whose time is from since until before until */
extern char *ml_spec_source(const MlSpec *spec);

/* the columns to be read of a source */
extern void ml_spec_request(const MlSpec *spec, const char *source, MlFrameRequest *request);

/* from JSON: unknown keys are refused with the nearest; not yet checked */
extern void ml_spec_read(MlSpec *spec, Jsonb *json);

/* the canonical form, which ml_spec_read takes back */
extern Jsonb *ml_spec_write(const MlSpec *spec);

/*
 * Opens a scope in which the settings of the spec hold; the result closes it. An error inside needs no cleaning up.
 */
extern int	ml_spec_enter_settings(const MlSpec *spec);
extern void ml_spec_leave_settings(int level);

#endif							/* ML_SPEC_H */
