# README.md names every public function, view and setting, and none that does not exist.
[ -f README.md ] || { echo "README.md is missing"; exit 1; }
psql -X -At -v ON_ERROR_STOP=1 <<'END' | while read -r name; do grep -q "\b$name\b" README.md || echo "README.md does not name $name"; done
SELECT DISTINCT p.proname
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'mlops'
 WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind <> 'a'
UNION
SELECT relname FROM pg_class WHERE relnamespace = 'mlops'::regnamespace AND relkind = 'v'
ORDER BY 1;
END
sed -n 's/.*DefineCustom[A-Za-z]*Variable("\([a-z_.]*\)".*/\1/p' src/settings.c |
	while read -r name; do grep -q "$name" README.md || echo "README.md does not name $name"; done
exists=$(psql -X -At -c "SELECT proname FROM pg_proc WHERE proname LIKE 'mlops\_%'")
grep -ohE '\bmlops_[a-z0-9_]+' README.md | sort -u | while read -r name; do
	case $name in mlops_learn) continue ;; esac
	grep -qx "$name" <<<"$exists" || echo "README.md names $name, which does not exist"
done
