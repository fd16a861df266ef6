# Functions compiled once for each processor (ML_CLONES) stay in mlops_learn: mlops has bitcode, and
# the linker of LLVM 14 crashes on them ("make install" fails where the server has JIT).
for room in src/*/; do
	case $room in src/num/ | src/algo/ | src/learn/ | src/trees/) continue ;; esac
	grep -n 'ML_CLONES\|target_clones' "$room"*.[ch] && echo "$room is part of mlops"
done
! grep -n 'ML_CLONES\|target_clones' src/*.[ch]
