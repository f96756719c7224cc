"""The benchmark: all methods on all scenes, with costs, tables and pictures; resumable and spread over machines."""
