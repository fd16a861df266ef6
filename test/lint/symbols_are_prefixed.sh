# A server exports every non-static symbol to the libraries loaded after it, so
# ours carry a prefix of ours: ml_, mlops_, or what the server asks for.
for library in mlops.so src/learn/mlops_learn.so; do
	[ -f $library ] || echo "$library is not built"
	nm -D --defined-only $library | awk -v l=$library \
		'$3 !~ /^(ml_|mlops_|Pg_magic_func$|_PG_|pg_finfo_mlops_|pg_finfo_ml_|_init$|_fini$|_edata$|_end$|__bss_start$)/ {print l ": " $3}'
done
