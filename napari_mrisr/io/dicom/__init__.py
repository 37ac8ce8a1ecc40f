"""DICOM in and out: series in folders, ZIP files and DICOMDIRs, and their volumes.

sources  files in folders, ZIP files and DICOMDIRs
headers  a record per 2D image of a file
mosaic   tiles of Siemens mosaics
stacks   volumes of a series: order, geometry, refusals
pixels   voxels
series   what there is, and the series that a path names
attributes  what a derived series takes over
planes      slices and integers of a derived series
derivation  history of a result, written and read
derived     its datasets
anonymize   the same without the patient
write       its files

Needs the package pydicom, which is optional.
"""
