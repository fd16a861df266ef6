# SQL and PL/pgSQL functions run with a search_path of their own; only single-
# expression SQL functions that the planner may inline are seen as the caller's.
# 13 has no prosqlbody, and no function that it is for.
psql -X -At -v ON_ERROR_STOP=1 <<'END'
SELECT p.oid::regprocedure || ' needs SET search_path = pg_catalog, pg_temp'
  FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'mlops'
 WHERE l.lanname IN ('sql', 'plpgsql') AND p.prokind = 'f' AND to_jsonb(p) ->> 'prosqlbody' IS NULL
   AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']
 ORDER BY 1;
END
