"""What makes images of a release, tries them and hands them over."""
