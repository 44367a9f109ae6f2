// In place of the theme's file of this name: 1.5 MB that draw a dozen icons, which its style sheet draws by a font as well.
