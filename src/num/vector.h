/*
 * vector.h
 *		Four doubles at a time, the same on every machine.
 *
 * The compilers' vector extension fixes the order of operations: where the
 * processor has AVX2 a MlVec is one register, elsewhere two or four, and the
 * sums are the same bit for bit (no fused multiply-add: -ffp-contract=off).
 * ML_CLONES compiles a function once for AVX2 and once for the baseline and
 * picks one when the library is loaded.
 */
#ifndef ML_NUM_VECTOR_H
#define ML_NUM_VECTOR_H

#include <stdint.h>
#include <string.h>

#define ML_LANES 4

typedef double MlVec __attribute__((vector_size(32)));
typedef int64_t MlVecInt __attribute__((vector_size(32)));

/* the same four doubles where they lie in memory: no alignment promised */
typedef double MlVecMem __attribute__((vector_size(32), aligned(8), may_alias));

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#define ML_CLONES __attribute__((target_clones("avx2", "default")))
#endif
#endif
#ifndef ML_CLONES
#define ML_CLONES
#endif

/* vectors are passed between functions that are inlined only (hence -Wno-psabi) */
#define ML_INLINE static inline __attribute__((always_inline))

#define ML_LOAD(p) ((MlVec) *(const MlVecMem *) (p))
#define ML_STORE(p, v) (*(MlVecMem *) (p) = (MlVecMem) (v))
#define ML_SPLAT(x) ((MlVec) {(x), (x), (x), (x)})

ML_INLINE double
vec_sum(MlVec v)
{
	return (v[0] + v[1]) + (v[2] + v[3]);
}

/* bit by bit: a where the mask is set, b elsewhere */
ML_INLINE MlVec
vec_select(MlVecInt mask, MlVec a, MlVec b)
{
	return (MlVec) ((mask & (MlVecInt) a) | (~mask & (MlVecInt) b));
}

#endif							/* ML_NUM_VECTOR_H */
