/*
 * exp.h
 *		exp and log1p, written out rather than called: four at a time, and the
 *		same bits whatever the C library's version or the processor.
 */
#ifndef ML_NUM_EXP_H
#define ML_NUM_EXP_H

#include "num/vector.h"

/* exp(-ML_EXP_LARGEST) is about the smallest normal double */
#define ML_EXP_LARGEST 708.0

/*
 * exp(-a), 0 <= a <= ML_EXP_LARGEST: a = k log 2 - r with |r| <= log(2) / 2, and the
 * Taylor series of exp(r), whose remainder after r^13 is below 5e-18.
 */
ML_INLINE MlVec
vec_exp_minus(MlVec a)
{
	static const double coefficient[] = {
		1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
		1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1
	};
	const MlVec shift = ML_SPLAT(6755399441055744.0);	/* 1.5 * 2^52: adding it rounds */
	MlVec		shifted = a * ML_SPLAT(1.44269504088896340736) + shift;
	MlVec		k = shifted - shift;
	MlVec		r = k * ML_SPLAT(6.93147180369123816490e-01) - a;
	MlVec		sum = ML_SPLAT(coefficient[0]);
	MlVecInt	exponent;

	r += k * ML_SPLAT(1.90821492927058770002e-10);
	for (int i = 1; i < (int) (sizeof(coefficient) / sizeof(coefficient[0])); i++)
		sum = sum * r + ML_SPLAT(coefficient[i]);

	/* k sits in the low bits of the shifted sum */
	exponent = (MlVecInt) shifted - (MlVecInt) shift;
	return sum * (MlVec) ((1023 - exponent) << 52);
}

/*
 * log(1 + t), 0 <= t <= 1, as 2 artanh(s) with s = t / (2 + t); from sqrt(2) on
 * as log 2 + log((1 + t) / 2), so that |s| <= 0.172 and s^23 is the last term
 * that counts.
 */
ML_INLINE MlVec
vec_log1p(MlVec t)
{
	MlVecInt	big = t > ML_SPLAT(0.41421356237309503);
	MlVec		u = vec_select(big, (t - 1.0) * 0.5, t);
	MlVec		s = u / (u + 2.0);
	MlVec		s2 = s * s;
	MlVec		sum = ML_SPLAT(1.0 / 23);

	for (int i = 21; i >= 1; i -= 2)
		sum = sum * s2 + 1.0 / i;
	return 2.0 * s * sum + vec_select(big, ML_SPLAT(0.69314718055994530942), ML_SPLAT(0.0));
}

#endif							/* ML_NUM_EXP_H */
