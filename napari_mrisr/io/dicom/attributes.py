"""Attributes that a derived series takes over from its source, by module of PS3.3.

Everything else is left behind: private attributes, whose slice positions and scale factors would
contradict the new slices, and all that described the old pixels.
"""

from __future__ import annotations

PERSONAL_GROUPS = (0x0010, 0x0012, 0x0032, 0x0038)
"""Groups taken over whole: patient, clinical trial, request, visit."""

PERSONAL = (
    # General Study
    "StudyDate", "StudyTime", "AccessionNumber", "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence", "StudyID",
    "ConsultingPhysicianName", "StudyDescription", "ProcedureCodeSequence", "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy", "ReferencedStudySequence", "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    # General Series
    "PerformingPhysicianName", "OperatorsName", "ProtocolName", "RequestAttributesSequence",
    "PerformedProcedureStepID", "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime", "PerformedProcedureStepDescription",
    "ReferencedPerformedProcedureStepSequence",
    # General Equipment
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName",
    "DeviceSerialNumber",
)  # fmt: skip
"""Attributes that may identify the patient or the people around; ``--anonymize`` removes them."""

UIDS = ("StudyInstanceUID", "FrameOfReferenceUID")

SERIES = (
    "PatientPosition", "BodyPartExamined", "AnatomicRegionSequence", "Laterality",
    "AnatomicalOrientationType", "PositionReferenceIndicator", "Manufacturer",
    "ManufacturerModelName", "SoftwareVersions", "BurnedInAnnotation",
    "RecognizableVisualFeatures", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)  # fmt: skip
"""Series, equipment and image attributes without personal data."""

ACQUISITION = (
    "AcquisitionNumber", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime",
    "ContrastBolusAgent", "ContrastBolusRoute", "ScanningSequence", "SequenceVariant",
    "ScanOptions", "MRAcquisitionType", "SequenceName", "AngioFlag", "RepetitionTime", "EchoTime",
    "InversionTime", "NumberOfAverages", "ImagingFrequency", "ImagedNucleus", "EchoNumbers",
    "MagneticFieldStrength", "NumberOfPhaseEncodingSteps", "EchoTrainLength", "PercentSampling",
    "PercentPhaseFieldOfView", "PixelBandwidth", "ReceiveCoilName", "TransmitCoilName",
    "AcquisitionMatrix", "InPlanePhaseEncodingDirection", "FlipAngle", "VariableFlipAngleFlag",
    "SAR", "dBdt", "ReconstructionDiameter",
)  # fmt: skip
"""MR Image module: the sequence that measured the source."""

ENHANCED = (
    "AcquisitionNumber", "AcquisitionDateTime", "AcquisitionDuration", "MagneticFieldStrength",
    "ResonantNucleus", "KSpaceFiltering", "ApplicableSafetyStandardAgency",
)  # fmt: skip
"""Enhanced MR Image module."""

FUNCTIONAL_GROUPS = {
    "MRTimingAndRelatedParametersSequence": (
        "RepetitionTime", "FlipAngle", "EchoTrainLength", "RFEchoTrainLength",
        "GradientEchoTrainLength", "OperatingModeSequence", "SpecificAbsorptionRateSequence",
        "GradientOutputType", "GradientOutput",
    ),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRAveragesSequence": ("NumberOfAverages",),
    "MRFOVGeometrySequence": (
        "InPlanePhaseEncodingDirection", "MRAcquisitionFrequencyEncodingSteps",
        "MRAcquisitionPhaseEncodingStepsInPlane", "MRAcquisitionPhaseEncodingStepsOutOfPlane",
        "PercentSampling", "PercentPhaseFieldOfView",
    ),
    "MRImagingModifierSequence": (
        "MagnetizationTransfer", "BloodSignalNulling", "TransmitterFrequency", "PixelBandwidth",
        "Tagging",
    ),
    "FrameAnatomySequence": ("AnatomicRegionSequence", "FrameLaterality"),
}  # fmt: skip
"""Functional groups of Enhanced MR, and what is taken over of each."""
