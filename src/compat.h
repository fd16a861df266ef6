/*
 * compat.h
 *		The one place that knows server versions (PostgreSQL 13 to 18).
 */
#ifndef ML_COMPAT_H
#define ML_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 130000 || PG_VERSION_NUM >= 190000
#error "mlops supports PostgreSQL 13 to 18"
#endif

#include "storage/proc.h"

/* 16 split the layout of values of variable length off postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 writes it before the declaration, where compilers take the older one too */
#if PG_VERSION_NUM >= 180000
#define ml_noreturn pg_noreturn
#else
#define ml_noreturn pg_attribute_noreturn()
#endif

/* 17 moved the local transaction id into a struct of its own */
#if PG_VERSION_NUM >= 170000
#define ML_LOCAL_XID (MyProc->vxid.lxid)
#else
#define ML_LOCAL_XID (MyProc->lxid)
#endif

/* 16 renamed the accessor of a backend's status */
#if PG_VERSION_NUM >= 160000
#define ml_local_beentry(i) pgstat_get_local_beentry_by_index(i)
#else
#define ml_local_beentry(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* 15 reserves prefixes of settings, 14 and before only warn */
#if PG_VERSION_NUM >= 150000
#define ml_reserve_settings(prefix) MarkGUCPrefixReserved(prefix)
#else
#define ml_reserve_settings(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

/* 14 put hash functions behind one interface, which OpenSSL may implement */
#if PG_VERSION_NUM >= 140000
#include "common/cryptohash.h"
#else
#include "utils/fmgrprotos.h"
#endif

/*
 * digest: 32 bytes; false: the implementation refused. 13's own interface wants
 * OpenSSL's headers, which a package of server headers does not bring: there it
 * is the SQL function's, on a copy.
 */
static inline bool
ml_compat_sha256(const void *bytes, size_t length, uint8 *digest)
{
#if PG_VERSION_NUM >= 140000
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	bool		done = context != NULL &&
		pg_cryptohash_init(context) >= 0 &&
		pg_cryptohash_update(context, bytes, length) >= 0 &&
		pg_cryptohash_final(context, digest, 32) >= 0;

	pg_cryptohash_free(context);
	return done;
#else
	bytea	   *copy = palloc(length + VARHDRSZ);
	bytea	   *hash;

	SET_VARSIZE(copy, length + VARHDRSZ);
	memcpy(VARDATA(copy), bytes, length);
	hash = DatumGetByteaP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(copy)));
	memcpy(digest, VARDATA(hash), 32);
	pfree(hash);
	pfree(copy);
	return true;
#endif
}

/* 15 renamed the analysis of a query without parameters */
#if PG_VERSION_NUM >= 150000
#define ml_analyze_and_rewrite(raw, text) \
	pg_analyze_and_rewrite_fixedparams(raw, text, NULL, 0, NULL)
#else
#define ml_analyze_and_rewrite(raw, text) \
	pg_analyze_and_rewrite(raw, text, NULL, 0, NULL)
#endif

/* the same with relations that exist for this query alone */
#if PG_VERSION_NUM >= 150000
#define ml_analyze_and_rewrite_in(raw, text, env) \
	pg_analyze_and_rewrite_fixedparams(raw, text, NULL, 0, env)
#else
#define ml_analyze_and_rewrite_in(raw, text, env) \
	pg_analyze_and_rewrite(raw, text, NULL, 0, env)
#endif

/* 14 has types of several ranges */
#ifndef TYPTYPE_MULTIRANGE
#define TYPTYPE_MULTIRANGE 'm'
#endif

/* 16 says which indexes need a new entry */
#if PG_VERSION_NUM >= 160000
#define ml_simple_heap_update(rel, place, tuple) \
	do { \
		TU_UpdateIndexes ml_update_indexes; \
		simple_heap_update(rel, place, tuple, &ml_update_indexes); \
	} while (0)
#else
#define ml_simple_heap_update(rel, place, tuple) simple_heap_update(rel, place, tuple)
#endif

/* 14 tells an index whether its columns changed */
#if PG_VERSION_NUM >= 140000
#define ml_index_insert(index, values, nulls, place, heap, info) \
	index_insert(index, values, nulls, place, heap, UNIQUE_CHECK_NO, false, info)
#else
#define ml_index_insert(index, values, nulls, place, heap, info) \
	index_insert(index, values, nulls, place, heap, UNIQUE_CHECK_NO, info)
#endif

/* 14 can leave out partitions that are being detached */
#if PG_VERSION_NUM >= 140000
#define ml_partition_desc(table) RelationGetPartitionDesc(table, true)
#else
#define ml_partition_desc(table) RelationGetPartitionDesc(table)
#endif

/* 14 took the table that is written to out of the executor's state; 16 has indexes of ranges that do with less */
#if PG_VERSION_NUM >= 160000
#define ml_estate_result(estate, result) ((void) (estate))
#define ml_insert_index_tuples(result, slot, estate) \
	ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL, false)
#elif PG_VERSION_NUM >= 140000
#define ml_estate_result(estate, result) ((void) (estate))
#define ml_insert_index_tuples(result, slot, estate) \
	ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL)
#else
#define ml_estate_result(estate, result) ((estate)->es_result_relation_info = (result))
#define ml_insert_index_tuples(result, slot, estate) \
	ExecInsertIndexTuples(slot, estate, false, NULL, NIL)
#endif

/* 16 can collect errors instead of raising them; a zero is "no" to both */
#define ml_parse_type(text, type, typmod) parseTypeString(text, type, typmod, 0)

/* 18 no longer asks whether a plan is run once only */
#if PG_VERSION_NUM >= 180000
#define ml_executor_run(desc) ExecutorRun(desc, ForwardScanDirection, 0)
#else
#define ml_executor_run(desc) ExecutorRun(desc, ForwardScanDirection, 0, true)
#endif

/* 16 has one privilege check for all classes of objects */
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_proc.h"
#define ml_function_aclcheck(function) \
	object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE)
#else
#define ml_function_aclcheck(function) \
	pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE)
#endif

#if PG_VERSION_NUM >= 160000
#include "catalog/pg_namespace.h"
#define ml_namespace_aclcheck(oid, role, mode) \
	object_aclcheck(NamespaceRelationId, (oid), (role), (mode))
#else
#define ml_namespace_aclcheck(oid, role, mode) pg_namespace_aclcheck((oid), (role), (mode))
#endif

/* 18 tells old from new rows in RETURNING */
#if PG_VERSION_NUM >= 180000
#define ml_expand_rte(rte, row, names, values) \
	expandRTE(rte, (row)->varno, (row)->varlevelsup, (row)->varreturningtype, \
			  (row)->location, false, names, values)
#else
#define ml_expand_rte(rte, row, names, values) \
	expandRTE(rte, (row)->varno, (row)->varlevelsup, (row)->location, false, names, values)
#endif

/* 16 marks a Var with the outer joins that may turn it to NULL */
#if PG_VERSION_NUM >= 160000
#define ml_var_inherit(column, row) \
	((column)->varnullingrels = bms_copy((row)->varnullingrels))
#else
#define ml_var_inherit(column, row) ((void) (column))
#endif

/* 15 can keep the page of a row that is not visible */
#if PG_VERSION_NUM >= 150000
#define ml_heap_fetch(rel, snapshot, tuple, buffer) heap_fetch(rel, snapshot, tuple, buffer, false)
#else
#define ml_heap_fetch(rel, snapshot, tuple, buffer) heap_fetch(rel, snapshot, tuple, buffer)
#endif

/* 18 can leave room before the tuple */
#if PG_VERSION_NUM >= 180000
#define ml_form_minimal_tuple(desc, values, nulls) heap_form_minimal_tuple(desc, values, nulls, 0)
#else
#define ml_form_minimal_tuple(desc, values, nulls) heap_form_minimal_tuple(desc, values, nulls)
#endif

/* 14 took the names of what is waited for out of the statistics */
#if PG_VERSION_NUM >= 140000
#include "utils/wait_event.h"
#else
#include "pgstat.h"
#endif

/* 18 has generated columns that are not stored */
#if PG_VERSION_NUM >= 180000
#define ml_attribute_is_virtual(attribute) \
	((attribute)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define ml_attribute_is_virtual(attribute) false
#endif

/* 16 asks whether one may SET ROLE, before membership was enough */
#if PG_VERSION_NUM >= 160000
#define ml_check_can_set_role(member, role) check_can_set_role(member, role)
#else
#define ml_check_can_set_role(member, role) check_is_member_of_role(member, role)
#endif

/* 16 says whether the datum of a sort is to be copied */
#if PG_VERSION_NUM >= 160000
#define ml_tuplesort_getdatum(sort, value, isnull) tuplesort_getdatum(sort, true, false, value, isnull, NULL)
#else
#define ml_tuplesort_getdatum(sort, value, isnull) tuplesort_getdatum(sort, true, value, isnull, NULL)
#endif

/* 14 tells the hook after the analysis of a query what was found while its hash was made */
#if PG_VERSION_NUM >= 140000
#define ML_ANALYZED_ARGUMENTS ParseState *pstate, Query *query, JumbleState *jstate
#define ML_ANALYZED_PASSED pstate, query, jstate
#else
#define ML_ANALYZED_ARGUMENTS ParseState *pstate, Query *query
#define ML_ANALYZED_PASSED pstate, query
#endif

/* 15 has a hook in which shared memory is asked for, before it was asked for at load */
#include "miscadmin.h"
#if PG_VERSION_NUM >= 150000
typedef shmem_request_hook_type MlShmemRequestHook;
#define ml_request_shmem(request, previous) \
	((previous) = shmem_request_hook, shmem_request_hook = (request))
#else
typedef void (*MlShmemRequestHook) (void);
#define ml_request_shmem(request, previous) ((previous) = NULL, (request) ())
#endif

/* 14 has modes of the raw parser; 15 took the constants of raw trees out of values */
#if PG_VERSION_NUM >= 140000
#define ml_raw_parser(text) raw_parser(text, RAW_PARSE_DEFAULT)
#else
#define ml_raw_parser(text) raw_parser(text)
#endif

#if PG_VERSION_NUM >= 150000
#define ml_const_boolean(node) ((node)->val.boolval.boolval)
#define ml_const_tag(node) ((node)->isnull ? T_Null : nodeTag(&(node)->val))
#define ml_const_int(node) ((node)->val.ival.ival)
#define ml_const_float(node) ((node)->val.fval.fval)
#define ml_const_string(node) ((node)->val.sval.sval)
#define T_Null T_Invalid
#else
#define ml_const_tag(node) nodeTag(&(node)->val)
#define ml_const_int(node) intVal(&(node)->val)
#define ml_const_float(node) strVal(&(node)->val)
#define ml_const_string(node) strVal(&(node)->val)
#define ml_const_boolean(node) false	/* TRUE is a cast of a string there */
#define T_Boolean T_Invalid
#endif

/* 14 compares integers of lists */
#include "nodes/pg_list.h"
#if PG_VERSION_NUM >= 140000
#define ml_list_int_cmp list_int_cmp
#else
static inline int
ml_list_int_cmp(const ListCell *a, const ListCell *b)
{
	return lfirst_int(a) < lfirst_int(b) ? -1 : lfirst_int(a) > lfirst_int(b);
}
#endif

#endif							/* ML_COMPAT_H */
