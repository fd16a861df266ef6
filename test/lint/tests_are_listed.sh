# A test that the Makefile does not name never runs; a name without a test fails.
listed() { make -s -p -n PG_CONFIG="$PG_CONFIG" 2>/dev/null | sed -n "s/^$1 :\?= *//p" | tail -n 1 | tr ' ' '\n' | grep . | sort; }
compare()
{
	comm -23 "$2" "$3" | sed "s|.*|$1: & is not listed in the Makefile|"
	comm -13 "$2" "$3" | sed "s|.*|$1: & is listed in the Makefile but does not exist|"
}
scratch=$(mktemp -d)
ls test/sql/*.sql 2>/dev/null | sed 's|.*/||; s|\.sql$||' | sort >"$scratch/sql"
ls test/specs/*.spec 2>/dev/null | sed 's|.*/||; s|\.spec$||' | sort >"$scratch/specs"
listed REGRESS >"$scratch/regress"
listed SPECS >"$scratch/isolation"
compare test/sql "$scratch/sql" "$scratch/regress"
compare test/specs "$scratch/specs" "$scratch/isolation"
sort -u "$scratch/sql" "$scratch/specs" | while read -r name; do
	[ -f "expected/$name.out" ] || echo "expected/$name.out is missing"
done
ls expected/*.out 2>/dev/null | sed 's|.*/||; s|\.out$||' | sort >"$scratch/expected"
sort -u "$scratch/sql" "$scratch/specs" | comm -13 - "$scratch/expected" | sed 's|.*|expected/&.out has no test|'
comm -12 "$scratch/sql" "$scratch/specs" | sed 's|.*|& is a regression and an isolation test: both want expected/&.out|'
rm -r "$scratch"
