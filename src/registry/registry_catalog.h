/*
 * registry_catalog.h
 *		Names of the tables and numbers of the columns that are read by scans,
 *		and what the files of the registry share. Private to registry/ and
 *		deploy/; test/sql/model.sql holds the numbers against pg_attribute.
 */
#ifndef ML_REGISTRY_CATALOG_H
#define ML_REGISTRY_CATALOG_H

#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "compat.h"
#include "datatype/timestamp.h"
#include "errors.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "registry/registry.h"
#include "storage/buf.h"
#include "utils/relcache.h"

#define ML_CATALOG_SCHEMA			"mlops_catalog"
#define ML_VIEW_SCHEMA				"mlops"

#define Anum_ml_model_name			1
#define Anum_ml_model_owner			2
#define Anum_ml_model_target		3
#define Anum_ml_model_task			4
#define Anum_ml_model_metric		5
#define Anum_ml_model_positive		6
#define Anum_ml_model_description	7
#define Anum_ml_model_settings		8
#define Anum_ml_model_last_version	9
#define Anum_ml_model_created_at	10

#define Anum_ml_privilege_model		1
#define Anum_ml_privilege_grantee	2
#define Anum_ml_privilege_privilege	3

#define Anum_ml_version_model		1
#define Anum_ml_version_version		2
#define Anum_ml_version_sha256		3
#define Anum_ml_version_threshold	4

#define Anum_ml_artifact_model		1
#define Anum_ml_artifact_version	2
#define Anum_ml_artifact_part		3
#define Anum_ml_artifact_data		4

#define Anum_ml_serving_model		1
#define Anum_ml_serving_version		2
#define Anum_ml_serving_sha256		3
#define Anum_ml_serving_threshold	4
#define Anum_ml_serving_rules		5
#define Anum_ml_serving_canary_version	6
#define Anum_ml_serving_canary_sha256	7
#define Anum_ml_serving_canary_share	8
#define Anum_ml_serving_deployment	9
#define Anum_ml_serving_rules_sha256	12
#define Anum_ml_serving_canary_threshold	13
#define Anum_ml_serving_canary_rules	14
#define Anum_ml_serving_canary_rules_sha256	15
#define Anum_ml_serving_canary_deployment	16
#define Anum_ml_serving_canary_salt	17
#define Anum_ml_serving_shadows		18

#define Anum_ml_shadow_model		1
#define Anum_ml_shadow_name			2
#define Anum_ml_shadow_version		3
#define Anum_ml_shadow_sha256		4
#define Anum_ml_shadow_threshold	5
#define Anum_ml_shadow_share		6

#define Anum_ml_rule_set_model		1
#define Anum_ml_rule_set_number		2
#define Anum_ml_rule_set_sha256		3
#define Anum_ml_rule_set_program	4

#define Anum_ml_training_profile_model		1
#define Anum_ml_training_profile_version	2
#define Anum_ml_training_profile_role		3
#define Anum_ml_training_profile_feature	4
#define Anum_ml_training_profile_bin_low	19
#define Anum_ml_training_profile_bin_high	20

#define Anum_ml_alias_model			1
#define Anum_ml_alias_alias			2
#define Anum_ml_alias_version		3
#define Anum_ml_alias_sha256		4

/* ---- index scans without the executor, and without privileges of the caller ---- */

typedef enum MlSight
{
	ML_SIGHT_STATEMENT,			/* what the active snapshot sees: scoring */
	ML_SIGHT_NOW				/* a new snapshot where the isolation level allows: deciding */
} MlSight;

typedef struct MlScan
{
	Relation	table;
	SysScanDesc scan;			/* NULL: of one place */
	bool		pushed;			/* a snapshot of our own */
	HeapTupleData tuple;		/* at the place */
	Buffer		buffer;
} MlScan;

extern void ml_scan_begin(MlScan *scan, MlSight sight, const char *table,
						  const char *index, ScanKey key, int nkeys);
extern HeapTuple ml_scan_next(MlScan *scan);

/*
 * The row at one place of a table; NULL if the active snapshot sees none there.
 * It may be any row: look at its key. ml_scan_end() must follow.
 */
extern HeapTuple ml_scan_place(MlScan *scan, const char *table, ItemPointer place);
extern void ml_scan_end(MlScan *scan);

/* the key is the caller's array of at least position + 1; text must outlive the scan */
extern void ml_key_text(ScanKey key, int position, AttrNumber column, text *value);
extern void ml_key_int(ScanKey key, int position, AttrNumber column, int value);

/* a column of the current tuple; text is copied, NULL for NULL */
extern char *ml_column_text(MlScan *scan, HeapTuple tuple, AttrNumber column);
extern int	ml_column_int(MlScan *scan, HeapTuple tuple, AttrNumber column, int if_null);
extern double ml_column_float(MlScan *scan, HeapTuple tuple, AttrNumber column, double if_null);
extern bytea *ml_column_bytes(MlScan *scan, HeapTuple tuple, AttrNumber column);	/* not NULL */
extern void ml_column_sha256(MlScan *scan, HeapTuple tuple, AttrNumber column, uint8 *digest);

/* the names of a model's rows, as candidates: of a table whose first columns, and index, are model and name */
extern void ml_scan_offer(MlNearest *nearest, const char *table, const char *index, text *model);

/* OID of a table or index of mlops_catalog; 3F000 if the extension is not there */
extern Oid	ml_catalog_oid(const char *name);
extern Oid	ml_catalog_namespace(const char *schema);

/* ---- what a session knows (known.c) until the server says that it changed ---- */

extern Oid	ml_known_relation(const char *name);	/* InvalidOid: not known */
extern void ml_know_relation(const char *name, Oid oid);

/* privileges that were found to be there; what was not found is not kept */
extern bool ml_known_privilege(const char *model, Oid user, MlPrivilege privilege);

/* generation: from before the snapshot that it was read with */
extern uint64 ml_known_generation(void);
extern void ml_know_privilege(const char *model, Oid user, MlPrivilege privilege, uint64 generation);

/* to be called, inside a scope, by whoever takes privileges away */
extern void ml_privileges_changed(void);

/* the role that owns the tables: the extension's owner */
extern Oid	ml_catalog_owner(void);

/* ---- statements inside ml_registry_enter / ml_registry_leave ---- */

#define ML_MAX_ARGUMENTS 48

/* one argument list; filled in order, $1 first */
typedef struct MlArguments
{
	int			n;
	Oid			type[ML_MAX_ARGUMENTS];
	Datum		value[ML_MAX_ARGUMENTS];
	char		null[ML_MAX_ARGUMENTS];
} MlArguments;

extern void ml_bind_text(MlArguments *args, const char *value);	/* NULL is NULL, here and below */
extern void ml_bind_int(MlArguments *args, int value);
extern void ml_bind_int_or_null(MlArguments *args, int value, bool isnull);
extern void ml_bind_int8(MlArguments *args, int64 value);
extern void ml_bind_int8_or_null(MlArguments *args, int64 value, bool isnull);
extern void ml_bind_float(MlArguments *args, double value);	/* NaN is NULL */
extern void ml_bind_bool(MlArguments *args, bool value);
extern void ml_bind_jsonb(MlArguments *args, Jsonb *value);
extern void ml_bind_bytes(MlArguments *args, const void *bytes, int length);
extern void ml_bind_time(MlArguments *args, TimestampTz value);
extern void ml_bind_interval(MlArguments *args, const Interval *value);
extern void ml_bind_texts(MlArguments *args, char *const *value, int n, bool isnull);	/* text[], no element NULL */
extern void ml_bind_int8s(MlArguments *args, const int64 *value, int n, bool isnull);	/* bigint[] */
extern void ml_bind_datum(MlArguments *args, Oid type, Datum value, bool isnull);

/*
 * A statement whose plan is kept for the life of the session; every plan is a
 * static variable. The first run fixes the types of its arguments.
 */
typedef struct MlStatement
{
	const char *sql;
	SPIPlanPtr	plan;
} MlStatement;

/* rows affected or returned (in SPI_tuptable) */
extern uint64 ml_statement_run(MlStatement *statement, MlArguments *args);

/* a SELECT under the active snapshot: what the caller's statement sees, and nothing later */
extern uint64 ml_statement_look(MlStatement *statement, MlArguments *args);

/* a SELECT of what is there now; under REPEATABLE READ by the active snapshot, which may be younger than the transaction's */
extern uint64 ml_statement_newest(MlStatement *statement, MlArguments *args);

/* in a scope of its own: rows affected; and the first column of what a SELECT returns, in the current context */
extern uint64 ml_registry_run(MlStatement *statement, MlArguments *args);
extern List *ml_registry_texts(MlStatement *statement, MlArguments *args);

/* columns of a row of SPI_tuptable, copied into the current context; NULL for NULL */
extern char *ml_result_text(uint64 row, int column);
extern int	ml_result_int(uint64 row, int column, int if_null);
extern int64 ml_result_int8(uint64 row, int column);	/* 0 for NULL */
extern double ml_result_float(uint64 row, int column);	/* NaN for NULL */
extern bool ml_result_bool(uint64 row, int column);	/* false for NULL */
extern TimestampTz ml_result_time(uint64 row, int column);	/* -infinity for NULL */
extern Interval *ml_result_interval(uint64 row, int column);
extern char **ml_result_texts(uint64 row, int column, int *n);	/* of text[]; 0 for NULL */

/* elements of an array of text, bigint or double precision, none of which is NULL; 0 of them for NULL */
extern int	ml_result_elements(uint64 row, int column, Oid type, Datum **element);
extern Datum ml_result_datum(uint64 row, int column, bool *isnull);

/* ---- words of errors that several files raise ---- */

ml_noreturn extern void ml_error_no_model(const char *model, MlSight sight);
ml_noreturn extern void ml_error_no_version(const char *model, int version, MlSight sight);

/* "1-3, 5" of the versions there are, newest ranges if there are many; NULL if none */
extern char *ml_version_ranges(const char *model, MlSight sight);

extern bool ml_privilege_has_by(const char *model, Oid user, MlPrivilege privilege,
								MlSight sight, bool *exists);
extern void ml_privilege_check(const char *model, MlPrivilege privilege, MlSight sight);
extern void ml_privilege_check_scoring(const char *model, MlPrivilege privilege);

/* an argument, NULL if it is */
extern char *ml_argument_text(FunctionCallInfo fcinfo, int n);

/* 22004 if an argument that is needed is NULL */
extern void ml_require_argument(FunctionCallInfo fcinfo, int n, const char *name);

/* the same of every argument but those whose default is NULL */
extern void ml_require_arguments(FunctionCallInfo fcinfo);

/* shadow_row.c: the version of a shadow, under the active snapshot; 42704 with the nearest name */
extern void ml_shadow_resolve(text *model, const char *name, MlResolved *resolved);

/*
 * Inside a scope, under the lock of the serving row: a line of the history of shadows; share: NaN for
 * none. And has somebody said why a version is compared although predictions influence outcomes?
 */
extern void ml_shadow_write_event(const char *model, const char *event, const char *name, int version, double share,
								  const char *reason, const char *caused_by);
extern bool ml_shadow_is_acknowledged(const char *model, int version);

/* ---- what serves; inside a scope ---- */

/* locks the serving row of a model until the end of the transaction; the active version, or 0 */
extern int	ml_serving_lock(const char *model);

ml_noreturn extern void ml_error_model_gone(const char *model);

/* 42501 unless the role may own models: CREATE on schema mlops */
extern void ml_registry_require_create(const char *model, Oid role);

/* 22023 unless a name can stand in a reference; what: "model", "alias" */
extern void ml_reference_check_name(const char *name, const char *what);

#endif							/* ML_REGISTRY_CATALOG_H */
