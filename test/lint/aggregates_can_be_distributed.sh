# Citus hands a mergeable aggregate to its workers, and fails at run time if such
# an aggregate takes a pseudo-type; it calls the support functions as the user.
# Exceptions, by name: metrics of the order of scores sort their rows, and a sort is
# no value. Each has a sibling X_state that can be distributed. mlops_adwin depends on
# the order of its rows, which no two workers share.
psql -X -At -v ON_ERROR_STOP=1 <<'END'
WITH a AS (
	SELECT g.*, p.proargtypes, p.pronargs, st.typtype
	  FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid
	  JOIN pg_type st ON st.oid = g.aggtranstype
	  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
	  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'mlops')
SELECT aggfnoid::regprocedure || ': a mergeable aggregate with an argument of type ' || t.typname
  FROM a CROSS JOIN LATERAL unnest(a.proargtypes) AS u(oid) JOIN pg_type t ON t.oid = u.oid
 WHERE a.aggcombinefn <> 0 AND a.typtype <> 'p' AND t.typtype = 'p'
UNION ALL
SELECT aggfnoid::regprocedure || ': an internal state that can be merged needs serialise and deserialise functions'
  FROM a WHERE aggtranstype = 'internal'::regtype AND aggcombinefn <> 0 AND (aggserialfn = 0 OR aggdeserialfn = 0)
UNION ALL
SELECT aggfnoid::regprocedure || ': everybody must be allowed to execute ' || f::regprocedure
  FROM a CROSS JOIN LATERAL unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn]::oid[]) f
 WHERE f <> 0 AND NOT has_function_privilege('pg_read_all_stats', f, 'EXECUTE')
UNION ALL
SELECT aggfnoid::regprocedure || ': an aggregate without arguments cannot be handed to workers'
  FROM a WHERE pronargs = 0
UNION ALL
SELECT aggfnoid::regprocedure || ': a state that is a sort, and no sibling whose state is a value'
  FROM a JOIN pg_proc p ON p.oid = a.aggfnoid
 WHERE aggtranstype = 'internal'::regtype AND p.proname <> 'mlops_adwin'
   AND (p.proname NOT IN ('mlops_roc_auc', 'mlops_pr_auc', 'mlops_ks', 'mlops_lift', 'mlops_gain', 'mlops_median_absolute_error')
        OR NOT EXISTS (SELECT 1 FROM a AS b JOIN pg_proc q ON q.oid = b.aggfnoid
                        WHERE q.proname = p.proname || '_state' AND q.proargtypes = p.proargtypes
                          AND b.aggtranstype = 'mlops.metric_state'::regtype))
UNION ALL
SELECT aggfnoid::regprocedure || ': states must have a text and a binary form and a combine function'
  FROM a JOIN pg_type t ON t.oid = aggtranstype
 WHERE aggtranstype <> 'internal'::regtype AND (aggcombinefn = 0 OR t.typtype = 'p' OR t.typsend = 0 OR t.typreceive = 0);
END
