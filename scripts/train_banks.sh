#!/usr/bin/env bash
# Trains every bundled bank: scripts/train_banks.sh DATA WORK
#
# DATA holds train/ (T1w of OpenNeuro ds000011 and ds002748) and MANIFEST.csv with columns
# file and licence. WORK receives the banks and the sums they were solved from; the banks
# are then copied into napari_mrisr/banks. About 4 GB for the paper preset.
set -euo pipefail
data=$1 work=$2
mkdir -p "$work" napari_mrisr/banks

train() { # NAME SCALE [OPTIONS]
    napari-mrisr train "$data/train" --scale "$2" --out "$work/$1.safetensors" \
        --manifest "$data/MANIFEST.csv" --overwrite "${@:3}"
    cp "$work/$1.safetensors" napari_mrisr/banks/
}

for scale in 2 3 4; do
    train "default-${scale}x" "$scale"
done
train paper-2x 2 --preset paper
for scale in 2 3 4; do
    train "default-${scale}x-paper-2021" "$scale" --degradation paper-2021
done

# Thick slices, along each axis in turn. The scanner interpolated ds002748 along z, which is
# therefore never the slice axis. Five volumes per source; all of them gain 0.01 to 0.05 dB more
# at factor 4 and take twice as long.
for factor in 2 3 4 5 6; do
    name=thick-${factor}x
    volumes=("$data"/train/ds000011_sub-0[1-5]_T1w.nii.gz "$data"/train/ds002748_sub-0[1-5]_T1w.nii.gz)
    if [ "$factor" = 4 ]; then volumes=("$data/train"); fi
    napari-mrisr train "${volumes[@]}" --scale "1x1x$factor" \
        --degradation slice-profile:boxcar:1 --thick-axes 'ds002748*=xy' --thick-axes '*=xyz' \
        --manifest "$data/MANIFEST.csv" --overwrite --out "$work/$name.safetensors"
    cp "$work/$name.safetensors" napari_mrisr/banks/
done

# Filters chosen by anchors (pip install '.[anchors]'); more volumes gain little.
for scale in 2 4; do
    name=a-plus-${scale}x
    napari-mrisr train "$data"/train/ds000011_sub-0[1-5]_T1w.nii.gz "$data"/train/ds002748_sub-0[1-5]_T1w.nii.gz \
        --scale "$scale" --preset a-plus --manifest "$data/MANIFEST.csv" --overwrite --out "$work/$name.safetensors"
    cp "$work/$name.safetensors" napari_mrisr/banks/
done
