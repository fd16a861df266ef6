# A session that scores must not load OpenBLAS (3 MB and a thread); the library that trains does.
needs() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
needs mlops.so | grep -iE 'blas|lapack' | sed 's/^/mlops.so needs /'
needs src/learn/mlops_learn.so | grep -qi openblas || echo "mlops_learn.so does not need OpenBLAS"
