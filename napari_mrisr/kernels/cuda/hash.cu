// Features and buckets of voxels. Meaning and shapes: napari_mrisr/kernels/reference.py,
// whose functions these follow, in double precision as there. One thread a voxel.

// Spread of the eigenvalues, as a share of their sum, below which they count as equal.
#define EQUAL 1e-7

struct Features {
    double values[3];
    double direction[3];
    double asymmetry, curvature;
};

static __device__ unsigned thread_number() { return blockIdx.x * blockDim.x + threadIdx.x; }

static __device__ void set(double* v, double x, double y, double z)
{
    v[0] = x;
    v[1] = y;
    v[2] = z;
}

// The first eigenvector where the cross products of rows vanish, of a tensor of trace 1 less its
// first eigenvalue: any direction across the longest row.
static __device__ void any_direction(
    double a, double b, double c, double xy, double xz, double yz, double* v)
{
    double x, y, z;
    if (a * a >= b * b && a * a >= c * c) {
        x = a, y = xy, z = xz;
    } else if (b * b >= c * c) {
        x = xy, y = b, z = yz;
    } else {
        x = xz, y = yz, z = c;
    }
    if (!(x * x + y * y + z * z > 1e-14)) return set(v, 1.0, 0.0, 0.0);
    if (fabs(x) <= fabs(y) && fabs(x) <= fabs(z)) set(v, 0.0, z, -y);
    else if (fabs(y) <= fabs(z)) set(v, -z, 0.0, x);
    else set(v, y, -x, 0.0);
    double scale = 1.0 / sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    set(v, v[0] * scale, v[1] * scale, v[2] * scale);
}

static __device__ void keep_longer(
    double x, double y, double z, double* longest, double* square)
{
    double length = x * x + y * y + z * z;
    if (length > *square) {
        *square = length;
        set(longest, x, y, z);
    }
}

// Eigenvalues, descending and not negative, and the first eigenvector: the trigonometric solution
// (Smith 1961, doi 10.1145/355578.366316); the vector is the longest cross product of two rows.
static __device__ void eigen(
    double xx, double xy, double xz, double yy, double yz, double zz, double* values, double* v)
{
    double trace = xx + yy + zz;
    set(v, 1.0, 0.0, 0.0);
    if (!(trace > 0.0)) return set(values, 0.0, 0.0, 0.0);
    double unit = 1.0 / trace;
    xx *= unit, xy *= unit, xz *= unit, yy *= unit, yz *= unit, zz *= unit;
    double mean = (xx + yy + zz) / 3.0;
    double a = xx - mean, b = yy - mean, c = zz - mean;
    double off = xy * xy + xz * xz + yz * yz;
    double p = sqrt((a * a + b * b + c * c + 2.0 * off) / 6.0);
    if (p < EQUAL) return set(values, trace / 3.0, trace / 3.0, trace / 3.0);
    double determinant = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz);
    double angle = acos(fmin(1.0, fmax(-1.0, 0.5 * determinant / (p * p * p)))) / 3.0;
    double first = mean + 2.0 * p * cos(angle);
    double third = mean + 2.0 * p * cos(angle + 2.0943951023931957);  // 2 pi / 3
    double second = 3.0 * mean - first - third;
    set(values, trace * fmax(0.0, first), trace * fmax(0.0, second), trace * fmax(0.0, third));
    a = xx - first, b = yy - first, c = zz - first;
    double square = 0.0;
    keep_longer(xy * yz - xz * b, xz * xy - a * yz, a * b - xy * xy, v, &square);
    keep_longer(xy * c - xz * yz, xz * xz - a * c, a * yz - xy * xz, v, &square);
    keep_longer(b * c - yz * yz, yz * xz - xy * c, xy * yz - b * xz, v, &square);
    if (square < 1e-24) return any_direction(a, b, c, xy, xz, yz, v);
    double scale = 1.0 / sqrt(square);
    set(v, v[0] * scale, v[1] * scale, v[2] * scale);
}

static __device__ double energy_at(const float* tensor, size_t part)
{
    return (double)tensor[0] + tensor[3 * part] + tensor[5 * part];
}

// Features of a voxel; tensor and smooth point to it, part is the size of a tensor's component.
static __device__ void analyze(
    const float* tensor, const float* smooth, size_t part, size_t sx, size_t sy, Features* f)
{
    eigen(tensor[0], tensor[part], tensor[2 * part], tensor[3 * part], tensor[4 * part],
          tensor[5 * part], f->values, f->direction);
    f->asymmetry = f->curvature = 0.0;
    double energy = f->values[0] + f->values[1] + f->values[2];
    if (!(energy > 0.0)) return;
    double x = f->direction[0], y = f->direction[1], z = f->direction[2];
    double slope = 0.5 * (x * (energy_at(tensor + sx, part) - energy_at(tensor - sx, part))
                          + y * (energy_at(tensor + sy, part) - energy_at(tensor - sy, part))
                          + z * (energy_at(tensor + 1, part) - energy_at(tensor - 1, part)));
    if (slope < 0.0) {
        x = -x, y = -y, z = -z, slope = -slope;
        set(f->direction, x, y, z);
    }
    const float* s = smooth;
    double s_x = *(s - sx), s_y = *(s - sy), s_z = *(s - 1);
    double xs = s[sx], ys = s[sy], zs = s[1], center = 2.0 * s[0];
    double hxx = xs - center + s_x, hyy = ys - center + s_y, hzz = zs - center + s_z;
    double hxy = ((double)s[sx + sy] - *(s + sx - sy) - *(s + sy - sx) + *(s - sx - sy)) / 4.0;
    double hxz = ((double)s[sx + 1] - *(s + sx - 1) - *(s + 1 - sx) + *(s - sx - 1)) / 4.0;
    double hyz = ((double)s[sy + 1] - *(s + sy - 1) - *(s + 1 - sy) + *(s - sy - 1)) / 4.0;
    double along = x * x * hxx + y * y * hyy + z * z * hzz;
    along += 2.0 * (x * y * hxy + x * z * hxz + y * z * hyz);
    double across = hxx + hyy + hzz - along;
    if (x * (xs - s_x) + y * (ys - s_y) + z * (zs - s_z) < 0.0) across = -across;
    f->asymmetry = slope / energy;
    f->curvature = across / sqrt(energy);
}

static __device__ int digit(double value, const double* cuts, int count)
{
    int found = 0;
    for (int c = 0; c < count; ++c) found += value >= cuts[c];
    return found;
}

// Elevation (negated cosine), azimuth (radians) of a line.
static __device__ void half_sphere(
    double x, double y, double z, double* elevation, double* azimuth)
{
    if (y < 0.0 || (y == 0.0 && (x < 0.0 || (x == 0.0 && z < 0.0)))) x = -x, y = -y, z = -z;
    *elevation = -z;
    *azimuth = x * x + y * y > 1e-12 ? atan2(y, x) : 0.0;
}

static __device__ double tangent(double opposite, double adjacent)
{
    if (opposite == 0.0) return 0.0;
    return adjacent > 0.0 ? opposite / adjacent : 1e300;
}

// The cube's symmetry that sorts the magnitudes of a direction, in the order of
// itertools.permutations; ties go to the earlier axis.
static __device__ int canonical(const double* v, double* elevation, double* azimuth)
{
    double m[3] = {fabs(v[0]), fabs(v[1]), fabs(v[2])};
    int a, b, c;
    if (m[0] >= m[1] && m[0] >= m[2]) a = 0;
    else a = m[1] >= m[2] ? 1 : 2;
    int low = a == 0 ? 1 : 0, high = a == 2 ? 1 : 2;
    if (m[low] >= m[high]) b = low, c = high;
    else b = high, c = low;
    *elevation = -m[a];
    *azimuth = tangent(m[c], m[b]);
    return 8 * (2 * a + (b == high)) + 4 * (v[a] < 0.0) + 2 * (v[b] < 0.0) + (v[c] < 0.0);
}

extern "C" __global__ void voxel_features(
    const float* __restrict__ tensor, const float* __restrict__ smooth, int nx, int ny, int nz,
    float* __restrict__ out)
{
    unsigned n = thread_number();
    if (n >= (unsigned)nx * ny * nz) return;
    unsigned k = n % nz, line = n / nz, j = line % ny, i = line / ny;
    size_t sy = nz + 2, sx = (ny + 2) * sy, at = (i + 1) * sx + (j + 1) * sy + k + 1;
    Features f;
    analyze(tensor + at, smooth + at, (nx + 2) * sx, sx, sy, &f);
    float* to = out + (size_t)n * 8;
    for (int a = 0; a < 3; ++a) {
        to[a] = (float)f.values[a];
        to[3 + a] = (float)f.direction[a];
    }
    to[6] = (float)f.asymmetry;
    to[7] = (float)f.curvature;
}

// cuts are (6, row); a voxel's place in its cell is counted from (x0, y0, z0); phase is
// (48, phases), with phases = px * py * pz.
extern "C" __global__ void hash_voxels(
    const float* __restrict__ tensor, const float* __restrict__ smooth, int nx, int ny, int nz,
    int x0, int y0, int z0, const double* __restrict__ cuts, int row,
    const int* __restrict__ counts, int symmetry, float flat, int px, int py, int pz,
    const int* __restrict__ phase, int* __restrict__ bucket, unsigned char* __restrict__ element)
{
    unsigned n = thread_number();
    if (n >= (unsigned)nx * ny * nz) return;
    int k = n % nz, line = n / nz, j = line % ny, i = line / ny;
    size_t sy = nz + 2, sx = (ny + 2) * sy, at = (i + 1) * sx + (j + 1) * sy + k + 1;
    size_t part = (nx + 2) * sx;
    const float* t = tensor + at;
    if (t[0] + t[3 * part] + t[5 * part] < flat) {
        int last = px * py * pz;
        for (int f = 0; f < 6; ++f) last *= counts[f] + 1;
        bucket[n] = last;
        element[n] = 0;
        return;
    }
    Features f;
    analyze(t, smooth + at, part, sx, sy, &f);
    double numbers[6];
    int e = 0;
    const double* v = f.direction;
    if (symmetry == 2) {
        e = canonical(v, &numbers[0], &numbers[1]);
    } else if (symmetry == 3) {
        bool swap = fabs(v[1]) > fabs(v[0]);
        double a = swap ? v[1] : v[0], b = swap ? v[0] : v[1];
        e = 16 * swap + 4 * (a < 0.0) + 2 * (b < 0.0) + (v[2] < 0.0);
        numbers[0] = -fabs(v[2]);
        numbers[1] = tangent(fabs(b), fabs(a));
    } else if (symmetry == 1) {
        e = 4 * (v[0] < 0.0) + 2 * (v[1] < 0.0) + (v[2] < 0.0);
        numbers[0] = -fabs(v[2]);
        numbers[1] = tangent(fabs(v[1]), fabs(v[0]));
    } else {
        half_sphere(v[0], v[1], v[2], &numbers[0], &numbers[1]);
    }
    double s1 = sqrt(f.values[0]), s2 = sqrt(f.values[1]), s3 = sqrt(f.values[2]);
    double total = s1 + s2 + s3;
    numbers[2] = s1;
    numbers[3] = total > 0.0 ? (s1 - s2 - s3) / total : 0.0;
    numbers[4] = f.asymmetry;
    numbers[5] = f.curvature;
    int b = 0;
#pragma unroll
    for (int a = 0; a < 6; ++a)
        b = b * (counts[a] + 1) + digit(numbers[a], cuts + a * row, counts[a]);
    int place = ((x0 + i) % px * py + (y0 + j) % py) * pz + (z0 + k) % pz;
    int phases = px * py * pz;
    bucket[n] = b * phases + phase[e * phases + place];
    element[n] = (unsigned char)e;
}
