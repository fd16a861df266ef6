/*
 * registry.h
 *		The tables that several rooms know, and the one way to any table.
 *
 * Reads that scoring makes are catalog-style index scans under the active
 * snapshot, without privileges of the caller. Everything else goes through SPI
 * inside ml_registry_enter / ml_registry_leave, which switch to the extension's
 * owner and to search_path pg_catalog, pg_temp: open the scope late, close it
 * early, call no user code inside. An error inside needs no cleaning up: the
 * (sub)transaction restores both.
 */
#ifndef ML_REGISTRY_H
#define ML_REGISTRY_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "model/model.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* ---- scope ---- */

typedef struct MlRegistryScope
{
	Oid			user;
	int			security;
	int			guc_level;
} MlRegistryScope;

/* connects SPI too; ml_registry_leave disconnects it (memory allocated by the caller outside survives) */
extern void ml_registry_enter(MlRegistryScope *scope);
extern void ml_registry_leave(MlRegistryScope *scope);

/* 25006 with a hint when in recovery or in a read-only transaction; what: "train a model" */
extern void ml_registry_require_writable(const char *what);

/* ---- references: 'churn', 'churn@fallback', 'churn/7' ---- */

typedef struct MlReference
{
	char		model[NAMEDATALEN];
	char		alias[NAMEDATALEN]; /* empty: none; "active" is the same as none */
	int			version;		/* 0: none */
} MlReference;

/* 22023 for a malformed reference (what was found, how one is written) */
extern void ml_reference_parse(const char *text, int length, MlReference *reference);

/* ---- privileges ---- */

typedef enum MlPrivilege
{
	ML_PRIVILEGE_OWNER,			/* settings, grants, dropping */
	ML_PRIVILEGE_TRAIN,			/* implies read and predict */
	ML_PRIVILEGE_PROMOTE,		/* implies read and predict */
	ML_PRIVILEGE_PREDICT,
	ML_PRIVILEGE_READ			/* versions, runs, history, coefficients; implies predict */
} MlPrivilege;

/* can be called for every statement that scores: two index scans, no SPI */
extern bool ml_privilege_has(const char *model, Oid user, MlPrivilege privilege);

/* 42704 no such model (nearest name among those the user may see), 42501 with the grant that is missing */
extern void ml_privilege_require(const char *model, MlPrivilege privilege);

/* ---- resolution, for scoring ---- */

/* the other bundle, which serves a share of the rows */
typedef struct MlCanary
{
	int			version;		/* 0: no canary runs */
	uint8		sha256[ML_SHA256_LENGTH];
	double		threshold;
	int			rules;
	uint8		rules_sha256[ML_SHA256_LENGTH];
	int			deployment;		/* that set it, or its share */
	double		share;			/* of the rows: above 0, below 1 */
	uint64		seed;			/* of the hash that says which (canary.h) */
} MlCanary;

/* which version a reference stands for under the active snapshot */
typedef struct MlResolved
{
	char		model[NAMEDATALEN];
	int			version;
	uint8		sha256[ML_SHA256_LENGTH];
	double		threshold;		/* of the bundle; of the version for alias and number; else 0.5 */
	int			deployment;		/* that made it serve; 0 for alias and number */
	ItemPointerData place;		/* where the serving row was; invalid for alias and number */
	int			rules;			/* number of the rule set of the bundle; 0: none, and for alias and number */
	uint8		rules_sha256[ML_SHA256_LENGTH];
	MlCanary	canary;			/* of what is active; none for alias and number */
	int			shadows;		/* how many the bundle has; 0 for alias and number */
} MlResolved;

/*
 * Errors: 42704 no such model, version or alias (nearest name, or the versions
 * there are); 55000 nothing is active yet (hint: mlops_promote); 42501.
 * privilege is checked first, as the current user.
 */
extern void ml_registry_resolve(const MlReference *reference, MlPrivilege privilege,
								MlResolved *resolved);

/*
 * The same for a reference that was resolved before, into resolved: if the
 * snapshot sees the serving row where it was then, no index need be searched.
 */
extern void ml_registry_resolve_again(const MlReference *reference, MlPrivilege privilege,
									  MlResolved *resolved);

/* a version that is asked beside the active one, and never shown */
typedef struct MlShadowRow
{
	char		name[NAMEDATALEN];
	MlResolved	resolved;
	double		share;			/* of the keys */
} MlShadowRow;

#define ML_SHADOW_PREFIX	"shadow."	/* of the alias that stands for one */
#define ML_MAX_SHADOWS		16			/* of a model */

/* those of a resolved bundle under the active snapshot, by name; the number of them, row in the current context */
extern int	ml_registry_shadows(const MlResolved *bundle, MlShadowRow **row);

/* does the model have this alias? no privilege check: resolve the model first */
extern bool ml_registry_has_alias(const char *model, const char *alias);

/* bytes of the artifact of a resolved version, under the active snapshot; ML004 if parts are missing */
extern bytea *ml_registry_artifact(const MlResolved *resolved);

/* the program of the rules of a resolved bundle, its checksum verified: ML004 */
extern bytea *ml_registry_rules(const MlResolved *resolved);

/* the canary of a model, under the active snapshot; privilege: predict, checked as in ml_registry_resolve */
extern void ml_registry_running_canary(const char *model, MlCanary *canary);

/* the bundle of the canary that runs beside this one */
extern void ml_registry_canary(const MlResolved *active, MlResolved *canary);

/* the model of what is resolved: owner as in ml_model_acquire */
extern const MlModel *ml_registry_acquire(const MlResolved *resolved, MemoryContext owner);

/* resolve + acquire */
extern const MlModel *ml_registry_model(const MlReference *reference, MlPrivilege privilege,
										MemoryContext owner, MlResolved *resolved);

/* ---- models ---- */

typedef struct MlModelRow
{
	char	   *name;
	char	   *owner;
	char	   *target;			/* these may be NULL */
	char	   *task;
	char	   *metric;
	char	   *positive;
	char	   *description;
	Jsonb	   *settings;
	int			last_version;
} MlModelRow;

/* NULL if there is none; no privilege check; palloc'd in the current context */
extern MlModelRow *ml_registry_model_row(const char *name);

/* what a model's settings say of the log of its predictions, and of counting them */
typedef struct MlLogSettings
{
	double		sample;			/* share of the keys; below 0: not set */
	bool		input;
	bool		without_key;
	bool		statistics;
} MlLogSettings;

/* for every statement that scores: remembered until an invalidation; no privilege check */
extern void ml_registry_log_settings(const char *model, MlLogSettings *settings);

/* are there any now, whatever the statement sees? */
extern bool ml_registry_has_versions(const char *model);

/*
 * Makes a model owned by the current user: 42710 exists, 42501 no CREATE on
 * schema mlops, 22023 bad name. Fields but name may be NULL.
 */
extern void ml_registry_create_model(const MlModelRow *row);

/* fills in target, task, metric where they are still NULL, at a model's first version */
extern void ml_registry_complete_model(const char *name, const char *target,
									   const char *task, const char *metric);

/* ---- runs ---- */

typedef enum MlRunStatus
{
	ML_RUN_RUNNING, ML_RUN_FINISHED, ML_RUN_FAILED, ML_RUN_CANCELLED
} MlRunStatus;

/* inserts a running run of this backend; also marks runs whose backend is gone as lost */
extern void ml_registry_start_run(pg_uuid_t *id, const char *model, const char *algorithm, Jsonb *spec);
/* done or total below 0, objective NaN: not known */
extern void ml_registry_report_run(const pg_uuid_t *id, const char *phase,
								   int64 done, int64 total, double objective);
extern void ml_registry_end_run(const pg_uuid_t *id, MlRunStatus status, int version,
								const char *sqlstate, const char *message);

/* ---- versions ---- */

/* a finished version, all of it; texts and Jsonb may be NULL where the column is */
typedef struct MlVersionRow
{
	const char *model;
	bool		scratch;
	pg_uuid_t	run;
	bool		has_run;
	const char *algorithm;
	const char *task;
	const char *target;
	double		threshold;		/* NaN: none */
	Jsonb	   *spec;
	Jsonb	   *params;
	const char *source;
	Jsonb	   *columns;
	int64		rows_read;
	int64		rows_used;
	Jsonb	   *rows_skipped;
	int64		rows_training;
	int64		rows_holdout;
	MlHash128	data_fingerprint;
	MlHash128	schema_fingerprint;
	const char *time_from;
	const char *time_to;
	int64		seed;
	Jsonb	   *split;
	Jsonb	   *training_metrics;
	Jsonb	   *holdout_metrics;
	Jsonb	   *baseline_metrics;
	Jsonb	   *facts;
	int			nwarnings;
	char	  **warnings;
	Jsonb	   *durations;
	bool		row_security;
	int64		rows_kept;		/* -1: not kept */
	const char *note;
	Jsonb	   *builds;
	bytea	   *artifact;		/* split into parts, checksum taken, by ml_registry_insert_version */
} MlVersionRow;

/*
 * Takes the next number of the model (locks the model's row, not the serving
 * row) and inserts version and artifact. Returns the number. The caller prunes
 * scratch versions afterwards with ml_registry_prune_scratch.
 */
extern int	ml_registry_insert_version(const MlVersionRow *row);
/* rows: n jsonb, which follow the first before rows of the version */
extern void ml_registry_insert_kept_rows(const char *model, int version, int64 before,
										 Datum *rows, int n);
extern int	ml_registry_prune_scratch(const char *model, int keep);	/* number dropped */

/*
 * What training a version again needs to know of it; palloc'd in the current
 * context; 42704; no privilege check.
 */
typedef struct MlVersionFacts
{
	int			version;
	uint8		sha256[ML_SHA256_LENGTH];
	char	   *trained_by;
	Jsonb	   *spec;
	Jsonb	   *columns;
	Jsonb	   *training_metrics;
	Jsonb	   *holdout_metrics;	/* or NULL */
	Jsonb	   *builds;
	MlHash128	data_fingerprint;
	MlHash128	schema_fingerprint;
	int64		rows_read;
	int64		rows_kept;		/* -1: not kept */
} MlVersionFacts;

extern void ml_registry_version_facts(const char *model, int version, MlVersionFacts *facts);

/*
 * Calls each for every kept row in their order, inside a scope: it must not
 * run anything. Returns the number of rows.
 */
extern int64 ml_registry_kept_rows(const char *model, int version,
								   void (*each) (void *arg, Jsonb *row), void *arg);

/* the whole row of a version as jsonb, to_jsonb(row); 42704; no privilege check */
extern Jsonb *ml_registry_version_json(const char *model, int version);

#endif							/* ML_REGISTRY_H */
