"""The settings of engines that are fastest for a pipeline on a machine."""
