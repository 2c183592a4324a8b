package imgrec.example

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import kotlin.math.max
import kotlin.math.min
import org.json.JSONObject

/**
 * How a picture comes to the file's size, as `preprocess.json` says.
 *
 * MediaPipe itself would stretch it and leave out pixels. Halving first comes near to training's filter, which
 * weighs all of them; it is not the same to the last shade.
 */
class Preprocess(
    private val width: Int,
    private val height: Int,
    private val resize: String,
    private val cropFraction: Double,
    private val fill: Int
) {
    fun fit(bitmap: Bitmap): Bitmap = when {
        bitmap.width == width && bitmap.height == height -> bitmap
        resize == "stretch" -> scaled(bitmap, width, height)
        resize == "crop" -> cropped(bitmap)
        else -> letterboxed(bitmap)
    }

    private fun cropped(bitmap: Bitmap): Bitmap {
        val scale = max(height.toDouble() / bitmap.height, width.toDouble() / bitmap.width) / cropFraction
        val wide = max(width, rounded(bitmap.width * scale))
        val high = max(height, rounded(bitmap.height * scale))
        val large = scaled(bitmap, wide, high)
        return Bitmap.createBitmap(large, (wide - width) / 2, (high - height) / 2, width, height)
    }

    private fun letterboxed(bitmap: Bitmap): Bitmap {
        val scale = min(height.toDouble() / bitmap.height, width.toDouble() / bitmap.width)
        val wide = rounded(bitmap.width * scale).coerceIn(1, width)
        val high = rounded(bitmap.height * scale).coerceIn(1, height)
        val result = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
        val canvas = Canvas(result)
        canvas.drawColor(Color.rgb(fill, fill, fill))
        val inner = scaled(bitmap, wide, high)
        canvas.drawBitmap(inner, ((width - wide) / 2).toFloat(), ((height - high) / 2).toFloat(), null)
        return result
    }

    private fun scaled(bitmap: Bitmap, wide: Int, high: Int): Bitmap {
        var halved = bitmap
        while (halved.width >= 2 * wide && halved.height >= 2 * high) {
            halved = Bitmap.createScaledBitmap(halved, halved.width / 2, halved.height / 2, true)
        }
        return Bitmap.createScaledBitmap(halved, wide, high, true)
    }

    private fun rounded(value: Double): Int = (value + 0.5).toInt()

    companion object {
        fun parse(text: String): Preprocess {
            val json = JSONObject(text)
            val size = json.getJSONArray("size")
            return Preprocess(
                size.getInt(1),
                size.getInt(0),
                json.getString("resize"),
                json.getDouble("crop_fraction"),
                json.getInt("fill")
            )
        }
    }
}
